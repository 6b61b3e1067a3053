"""Hash functions of libraries, over the memory of a CPU storage."""

import hashlib
from collections.abc import Callable
from typing import Protocol

from blake3 import blake3

from torchstash.tools.bench.checks import equal_to
from torchstash.tools.bench.contestant import Contestant, Trial
from torchstash.tools.bench.errors import UnavailableError
from torchstash.tools.bench.hashing.storages import Storages

BLAKE3_ONE_THREAD = "blake3 library, 1 thread"
BLAKE3_ALL_THREADS = "blake3 library, all threads"
BLAKE3_ONE_BY_ONE = "blake3 library, one by one"


class _Hash(Protocol):
    def update(self, data: memoryview, /) -> object: ...

    def hexdigest(self) -> str: ...


class _HashFunction(Protocol):
    def __call__(self, data: memoryview = ..., /) -> _Hash: ...


def contestants() -> list[Contestant[Storages]]:
    """Those that hash one storage."""
    return [
        _library(BLAKE3_ONE_THREAD, lambda: blake3),
        Contestant(BLAKE3_ALL_THREADS, "cpu", _blake3_all_threads),
        _library("SHA-256, hashlib", lambda: hashlib.sha256),
        _library("SHA-1, hashlib", lambda: hashlib.sha1),
        _library("XXH3-128, xxhash", _xxh3),
    ]


def blake3_one_by_one() -> Contestant[Storages]:
    """The library called for each storage in turn."""

    def prepare(storages: Storages) -> Trial:
        views = storages.views()
        return Trial(
            lambda: [blake3(view).hexdigest() for view in views], equal_to(storages.digests)
        )

    return Contestant(BLAKE3_ONE_BY_ONE, "cpu", prepare)


def _library(name: str, load: Callable[[], _HashFunction]) -> Contestant[Storages]:
    def prepare(storages: Storages) -> Trial:
        function = load()
        [view] = storages.views()
        return Trial(lambda: function(view).hexdigest(), equal_to(_in_two_pieces(function, view)))

    return Contestant(name, "cpu", prepare)


def _in_two_pieces(function: _HashFunction, view: memoryview) -> str:
    """The digest by another way than the one that is timed."""
    middle = len(view) // 2
    hashed = function(view[:middle])
    hashed.update(view[middle:])
    return hashed.hexdigest()


def _blake3_all_threads(storages: Storages) -> Trial:
    [view] = storages.views()
    return Trial(
        lambda: blake3(view, max_threads=blake3.AUTO).hexdigest(),
        equal_to(blake3(view).hexdigest()),
    )


def _xxh3() -> _HashFunction:
    try:
        import xxhash  # noqa: PLC0415 - a peer that may be missing
    except ImportError as error:
        raise UnavailableError(f"{error}: pip install xxhash") from error
    return xxhash.xxh3_128
