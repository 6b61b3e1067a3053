"""Frames that wait until the digest of all of them is known."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, Final, cast

IN_MEMORY_BYTES: Final = 64 << 20
_CHUNK_BYTES: Final = 1 << 20


class FrameSpool:
    """Up to `IN_MEMORY_BYTES` in memory, more in a file in `folder` that has no name there.

    Raises `OSError`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._in_memory: list[bytes] = []
        self._file: BinaryIO | None = None
        self.size_bytes = 0

    def add(self, frame: bytes) -> None:
        """Take the next frame."""
        self.size_bytes += len(frame)
        if self._file is None and self.size_bytes <= IN_MEMORY_BYTES:
            self._in_memory.append(frame)
            return
        if self._file is None:
            self._file = cast("BinaryIO", TemporaryFile(dir=self._folder))  # noqa: SIM115 - `close` does
            self._file.writelines(self._in_memory)
            self._in_memory.clear()
        self._file.write(frame)

    def parts(self) -> Iterator[bytes]:
        """All of it, in order, as often as it is asked for."""
        if self._file is None:
            yield from self._in_memory
            return
        self._file.seek(0)
        while part := self._file.read(_CHUNK_BYTES):
            yield part

    def close(self) -> None:
        """Forget all of it."""
        self._in_memory.clear()
        if self._file is not None:
            self._file.close()
