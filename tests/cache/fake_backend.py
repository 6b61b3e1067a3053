"""A backend that the tests of `RemoteCache` look into."""

from typing import Any

from typing_extensions import override

from torchstash.cache import RemoteCacheBackend


class FakeBackend(RemoteCacheBackend[Any]):
    """A dictionary that can be told to fail. Forgets `super().__init__()` on purpose."""

    def __init__(self, values: dict[str, Any] | None = None) -> None:
        self.values = {} if values is None else values
        self.error: BaseException | None = None

    @override
    def _get(self, key: str) -> Any:
        if self.error is not None:
            raise self.error
        return self.values.get(key)

    @override
    def _put(self, key: str, data: Any) -> None:
        if self.error is not None:
            raise self.error
        self.values[key] = data
