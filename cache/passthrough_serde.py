"""Values that the backend takes as they are."""

from typing import TypeVar

from typing_extensions import override

from torchstash.cache.serde import RemoteCacheSerde

T = TypeVar("T")


class RemoteCachePassthroughSerde(RemoteCacheSerde[T, T]):
    """Changes nothing."""

    @override
    def encode(self, data: T) -> T:
        return data

    @override
    def decode(self, data: T) -> T:
        return data
