"""A backend around a backend: what all of them have in common."""

from collections.abc import Iterable, Mapping

from typing_extensions import override

from torchstash.cache.backend import RemoteCacheBackend
from torchstash.cache.capabilities import Closable, ManyAtOnce
from torchstash.cache.many_at_once import get_many, put_many


class Wrapper(RemoteCacheBackend[bytes], ManyAtOnce, Closable):
    """Passes everything on to `inner`; a subclass changes what it is there for.

    Several values at once are passed on together where `inner` takes them together.

    Attributes:
        inner: The backend inside. Samples name its engine.
    """

    def __init__(self, inner: RemoteCacheBackend[bytes]) -> None:
        super().__init__()
        self.inner = inner

    @override
    def _get(self, key: str) -> bytes | None:
        return self.inner.get(key)

    @override
    def _put(self, key: str, data: bytes) -> None:
        self.inner.put(key, data)

    @override
    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        return get_many(self.inner, keys)

    @override
    def put_many(self, values: Mapping[str, bytes]) -> None:
        put_many(self.inner, values)

    @override
    def close(self) -> None:
        if isinstance(self.inner, Closable):
            self.inner.close()
