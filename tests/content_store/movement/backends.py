"""Backends of a kind for each way that a transfer goes."""

from collections.abc import Callable, Iterator
from pathlib import Path

from typing_extensions import override

from torchstash.cache import BackendFullError, MemoryBackend, RemoteCacheBackend
from torchstash.cache.capabilities import Containing, Listable, ManyAtOnce, MayTear
from torchstash.cache.disk import DiskBackend


class Plain(RemoteCacheBackend[bytes]):
    """Values in a dict, and nothing but `get` and `put`.

    Attributes:
        values: What it holds.
        before: Called before each operation, with its name.
    """

    def __init__(self, before: Callable[[str], None] = lambda _: None) -> None:
        self.values: dict[str, bytes] = {}
        self.before = before

    @override
    def _get(self, key: str) -> bytes | None:
        self.before("get")
        return self.values.get(key)

    @override
    def _put(self, key: str, data: bytes) -> None:
        self.before("put")
        self.values[key] = bytes(data)


class Asking(Plain, Containing, Listable):
    """Tells what it has."""

    @override
    def contains(self, key: str) -> bool:
        self.before("contains")
        return key in self.values

    @override
    def keys(self, prefix: str = "") -> Iterator[str]:
        self.before("keys")
        yield from sorted(key for key in self.values if key.startswith(prefix))


class Tearing(Asking, MayTear):
    """A put that breaks off leaves a part."""


class Folder(RemoteCacheBackend[bytes], Containing, Listable):
    """Values that outlive the process, in a folder that is no store."""

    def __init__(self, folder: Path) -> None:
        self._disk = DiskBackend(folder)

    @override
    def _get(self, key: str) -> bytes | None:
        return self._disk.get(key)

    @override
    def _put(self, key: str, data: bytes) -> None:
        self._disk.put(key, data)

    @override
    def contains(self, key: str) -> bool:
        return self._disk.contains(key)

    @override
    def keys(self, prefix: str = "") -> Iterator[str]:
        return self._disk.keys(prefix)


class FailingAt:
    """Raises at the step of this number, counted from 0, and at none before or after."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.steps = 0

    def __call__(self, _: str) -> None:
        self.steps += 1
        if self.steps == self.step + 1:
            raise BackendFullError("no space is left, says the test")


BACKENDS: dict[str, Callable[[], RemoteCacheBackend[bytes]]] = {
    "memory": MemoryBackend,
    "plain": Plain,
    "asking": Asking,
    "tearing": Tearing,
}
assert issubclass(MemoryBackend, ManyAtOnce)
