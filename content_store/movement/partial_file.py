"""Large contents on their way into a store, in a file that outlives its writer.

A writer that is killed leaves the parts that it had; the next one hashes them and goes on. Only one
at a time writes: it holds a lock on the file (flock), which the system frees when it dies.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Self

from torchstash.cache.blake3_hasher import hasher
from torchstash.cache.digest import Digest
from torchstash.cache.disk import GivenFile
from torchstash.content_store.movement.layout import PART_BYTES

_READ_BYTES: Final = 1 << 20


class PartialFile:
    """The locked file at `path`. Made by `locked`; raises `OSError`.

    Attributes:
        parts: How many parts it has.
    """

    def __init__(self, path: str, descriptor: int, size_bytes: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self._hasher = hasher(size_bytes)
        self._size_bytes = size_bytes
        self._rewind()

    @classmethod
    @contextmanager
    def locked(cls, path: str, size_bytes: int) -> Iterator[Self]:
        """The file, made if need be, once nobody else writes it."""
        descriptor = _lock(path)
        try:
            yield cls(path, descriptor, size_bytes)
        finally:
            os.close(descriptor)

    def append(self, part: bytes | memoryview) -> None:
        """One part more."""
        self._hasher.update(part)
        rest = memoryview(part)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        self.parts += 1

    def is_whole(self, digest: Digest) -> bool:
        """Whether its bytes are those of `digest`."""
        return self._hasher.digest() == digest.raw

    def finish(self) -> GivenFile:
        """On the medium, read-only, for the store to take over."""
        os.fchmod(self._descriptor, 0o400)
        os.fsync(self._descriptor)
        return GivenFile(self._path, self._size_bytes)

    def discard(self) -> None:
        """Begin again: its bytes are wrong."""
        os.ftruncate(self._descriptor, 0)
        self._hasher = hasher(self._size_bytes)
        self._rewind()

    def remove(self) -> None:
        """Nobody needs it: who waits for it makes another one."""
        os.unlink(self._path)  # noqa: PTH108 - a path of the engine's, as text

    def _rewind(self) -> None:
        """Hash the whole parts that are there, and cut off the rest."""
        found_bytes = min(os.fstat(self._descriptor).st_size, self._size_bytes)
        self.parts = found_bytes // PART_BYTES
        kept_bytes = self.parts * PART_BYTES
        os.ftruncate(self._descriptor, kept_bytes)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        while kept_bytes:
            data = os.read(self._descriptor, min(_READ_BYTES, kept_bytes))
            self._hasher.update(data)
            kept_bytes -= len(data)


def _lock(path: str) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            mine = os.fstat(descriptor)
            try:
                named = os.stat(path)  # noqa: PTH116 - a path of the engine's, as text
            except FileNotFoundError:
                named = None
            if named is not None and (named.st_dev, named.st_ino) == (mine.st_dev, mine.st_ino):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        # It was finished, or swept, while we waited.
        os.close(descriptor)
