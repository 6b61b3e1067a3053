"""The pages of a catalogue as its last commit left them, those in its log included.

The log is read as SQLite recovers it (sqlite.org/fileformat2.html, section 4): frames count as far
as their checksums go, up to the last one that commits. So is what is damaged of it.
"""

import os
import struct
from pathlib import Path

from torchstash.cache.disk.schema import PAGE_SIZE_BYTES

_LOG_HEADER_BYTES, _FRAME_HEADER_BYTES = 32, 24
_LOG_MAGIC = 0x377F0682
_MASK = 0xFFFFFFFF


class CatalogueImage:
    """The catalogue behind `descriptor`, with the log at `log`. Raises `OSError`.

    Attributes:
        page_count: Pages are numbered from 1.
    """

    def __init__(self, descriptor: int, log: Path) -> None:
        self._descriptor = descriptor
        self._in_file = os.fstat(descriptor).st_size // PAGE_SIZE_BYTES
        self.page_count = self._in_file
        # Where in the log a page lies.
        self._logged: dict[int, int] = {}
        try:
            self._log = log.read_bytes()
        except FileNotFoundError:
            self._log = b""
        self._read_log()

    @property
    def has_log(self) -> bool:
        """Whether some pages are from the log."""
        return bool(self._logged)

    def page(self, number: int) -> bytes:
        """A page; zeros where it is gone."""
        at = self._logged.get(number)
        if at is not None:
            return self._log[at : at + PAGE_SIZE_BYTES]
        page = b""
        if 1 <= number <= self._in_file:
            page = os.pread(self._descriptor, PAGE_SIZE_BYTES, (number - 1) * PAGE_SIZE_BYTES)
        return page.ljust(PAGE_SIZE_BYTES, b"\0")

    def _read_log(self) -> None:
        log = self._log
        if len(log) < _LOG_HEADER_BYTES:
            return
        magic, _, page_bytes, _, salt1, salt2, *noted = struct.unpack_from(">8I", log)
        order = ">" if magic & 1 else "<"
        running = _checksum(log[: _LOG_HEADER_BYTES - 8], (0, 0), order)
        if magic & ~1 != _LOG_MAGIC or page_bytes != PAGE_SIZE_BYTES or running != tuple(noted):
            return
        pending: dict[int, int] = {}
        frame_bytes = _FRAME_HEADER_BYTES + PAGE_SIZE_BYTES
        for at in range(_LOG_HEADER_BYTES, len(log) - frame_bytes + 1, frame_bytes):
            number, commit_pages, *salts, sum1, sum2 = struct.unpack_from(">6I", log, at)
            running = _checksum(log[at : at + 8], running, order)
            page_at = at + _FRAME_HEADER_BYTES
            running = _checksum(log[page_at : page_at + PAGE_SIZE_BYTES], running, order)
            if salts != [salt1, salt2] or running != (sum1, sum2) or not number:
                return
            pending[number] = page_at
            if commit_pages:
                self._logged.update(pending)
                pending.clear()
                self.page_count = commit_pages


def _checksum(data: bytes, running: tuple[int, int], order: str) -> tuple[int, int]:
    first, second = running
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for i in range(0, len(words), 2):
        first = (first + words[i] + second) & _MASK
        second = (second + words[i + 1] + first) & _MASK
    return first, second
