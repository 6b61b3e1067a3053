"""One file for all values that are too large for the catalogue and too small for a file each.

The catalogue says which bytes are whose (`free_space.py`). Bytes are written only where no
committed entry lies, and only by who holds the catalogue's write lock: a writer that dies leaves
nothing but bytes that nobody names, which the next writer writes over.

A reader holds no lock. Between its look-up and its reading an entry may be deleted and its bytes
used anew, so it believes what it read only after checking the digest, and looks up again where
that is wrong.
"""

import os
from collections.abc import Iterable, Sequence
from operator import itemgetter
from pathlib import Path

from torchstash.cache.disk.free_space import ALIGNMENT_BYTES
from torchstash.cache.disk.verified_extents import Stamp, stamp_of
from torchstash.cache.fork_safe_lock import fork_safe_lock

FILE_NAME = "packed.bin"

# What one system call takes (IOV_MAX of Linux and macOS).
_BUFFERS_PER_CALL = 1024


class PackedFile:
    """The packed file of one store. Threads and forked processes share it. Raises `OSError`.

    `on_network`: other machines may write to it. A network file system promises to show what they
    wrote to who opens the file afterwards (close-to-open), so each read opens it anew.
    """

    def __init__(
        self, folder: Path, *, durable: bool, read_only: bool, on_network: bool = False
    ) -> None:
        self._path = str(folder / FILE_NAME)
        self._durable = durable
        self._on_network = on_network
        self._flags = os.O_CLOEXEC | (os.O_RDONLY if read_only else os.O_RDWR | os.O_CREAT)
        # Held while the descriptor must not change.
        self._lock = fork_safe_lock()
        self._descriptor = -1

    def open(self) -> int:
        """Open the file, which a writer makes if need be, and a reader needs late; descriptor."""
        if self._descriptor >= 0:
            return self._descriptor
        with self._lock:
            if self._descriptor < 0:
                self._descriptor = os.open(self._path, self._flags, 0o600)
        return self._descriptor

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def size_bytes(self) -> int:
        """How long the file is."""
        descriptor = self._for_reading()
        try:
            return os.fstat(descriptor).st_size
        finally:
            if self._on_network:
                os.close(descriptor)

    def stamp(self) -> Stamp | None:
        """What changes when anybody writes to the file; None: nothing here tells of others."""
        return None if self._on_network else stamp_of(self.open())

    def read(self, offset_bytes: int, size_bytes: int) -> bytes:
        """The bytes there; fewer where the file is damaged."""
        descriptor = self._for_reading()
        try:
            return os.pread(descriptor, size_bytes, offset_bytes)
        finally:
            if self._on_network:
                os.close(descriptor)

    def read_unchanged(self, offset_bytes: int, size_bytes: int, stamp: Stamp) -> bytes | None:
        """The bytes there, all of them, if the file has this stamp after they were read."""
        descriptor = self.open()
        data = os.pread(descriptor, size_bytes, offset_bytes)
        is_unchanged = stamp_of(descriptor) == stamp
        return data if is_unchanged and len(data) == size_bytes else None

    def read_into(self, offset_bytes: int, target: memoryview) -> int:
        """Fill `target` with the bytes there; how many there were."""
        descriptor = self._for_reading()
        try:
            return os.preadv(descriptor, [target], offset_bytes)
        finally:
            if self._on_network:
                os.close(descriptor)

    def read_many(self, extents: Iterable[tuple[int, memoryview]]) -> None:
        """Fill each target with the bytes at its offset; neighbours by one call.

        Targets that the file, being damaged, has no bytes for are left as they are.
        """
        descriptor = self._for_reading()
        try:
            _read_all(descriptor, sorted(extents, key=itemgetter(0)))
        finally:
            if self._on_network:
                os.close(descriptor)

    def _for_reading(self) -> int:
        """A descriptor, which the caller closes where the file is `_on_network`."""
        if self._on_network:
            return os.open(self._path, os.O_CLOEXEC | os.O_RDONLY)
        return self._descriptor if self._descriptor >= 0 else self.open()

    def write(self, extents: Sequence[tuple[int, bytes | memoryview]]) -> None:
        """Write contents at their offsets; neighbours together. Durable: wait for the medium."""
        self.open()
        with self._lock:
            _write_all(self._descriptor, extents)
            if self._durable:
                os.fsync(self._descriptor)

    def sync(self) -> None:
        """Put on the medium what another writer wrote without doing so."""
        os.fsync(self.open())

    def truncate(self, size_bytes: int) -> int:
        """Cut off what lies behind; how many bytes. The caller holds the write lock."""
        surplus = self.size_bytes() - size_bytes
        if surplus <= 0:
            return 0
        os.ftruncate(self.open(), size_bytes)
        return surplus


def _read_all(descriptor: int, extents: Iterable[tuple[int, memoryview]]) -> None:
    """Read extents that are in order."""
    run: list[memoryview] = []
    start = end = 0
    for offset_bytes, target in extents:
        gap = offset_bytes - end
        if not 0 <= gap < ALIGNMENT_BYTES or len(run) >= _BUFFERS_PER_CALL - 1:
            if run:
                os.preadv(descriptor, run, start)
            run, start = [], offset_bytes
        elif gap:
            run.append(memoryview(bytearray(gap)))
        run.append(target)
        end = offset_bytes + len(target)
    if run:
        os.preadv(descriptor, run, start)


def _write_all(descriptor: int, extents: Sequence[tuple[int, bytes | memoryview]]) -> None:
    run: list[bytes | memoryview] = []
    start = end = 0
    for offset_bytes, data in extents:
        if offset_bytes != end or len(run) == _BUFFERS_PER_CALL:
            _write_run(descriptor, run, start)
            run, start = [], offset_bytes
        run.append(data)
        end = offset_bytes + len(data)
    _write_run(descriptor, run, start)


def _write_run(descriptor: int, run: list[bytes | memoryview], offset_bytes: int) -> None:
    if not run:
        return
    written = os.pwritev(descriptor, run, offset_bytes)
    if written == sum(map(len, run)):
        return
    for data in run:
        if written >= len(data):
            written -= len(data)
            offset_bytes += len(data)
            continue
        # Rare: the call was cut short.
        rest = memoryview(data)[written:]
        offset_bytes += written
        written = 0
        while rest:
            count = os.pwrite(descriptor, rest, offset_bytes)
            rest, offset_bytes = rest[count:], offset_bytes + count
