"""Which bytes of the packed file were read and found right, while nobody has written to it since.

Hashing 64 KiB takes longer than all the rest of a hit. It need not be done again while the file is
known to be the same, which its times tell: the system notes the time of a write before it copies a
byte. A time that is fresh proves nothing, because the clock of files is coarse and two writes may
have one time; so nothing is taken note of until the file has rested for a while ("racy git", Git's
technical documentation). docs/adr/0039 tells what this is worth.
"""

import os
import time
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

# Far above the tick of the clock of any file system that a store may lie on.
_RESTED_NS = 2_000_000_000
_MAX_EXTENTS = 16_384


# What changes when a file is written to: both its times in nanoseconds, and its size. A plain
# tuple, because one is made for every hit.
Stamp: TypeAlias = tuple[int, int, int]


class _Notes(NamedTuple):
    """What is known of the file as it is at `stamp`."""

    stamp: Stamp | None
    # By offset.
    digests: dict[int, bytes]


class VerifiedExtents:
    """Notes of one process about one file. Thread-safe.

    Args:
        unix_clock_ns: Nanoseconds since 1970, as the system gives them to files.
    """

    def __init__(self, *, unix_clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._unix_clock_ns = unix_clock_ns
        # Replaced as a whole where the file changes.
        self._notes = _Notes(None, {})

    def known_at(self, offset_bytes: int, digest: bytes) -> Stamp | None:
        """The stamp at which the bytes there had this digest.

        They have it still if they were read, and the file has that stamp after the reading.
        """
        notes = self._notes
        return notes.stamp if notes.digests.get(offset_bytes) == digest else None

    def forget(self, stamp: Stamp) -> None:
        """The file does not have this stamp any more."""
        if self._notes.stamp == stamp:
            self._notes = _Notes(None, {})

    def note(self, stamp: Stamp, offset_bytes: int, digest: bytes) -> None:
        """The bytes there have this digest, and were read after the file had this stamp."""
        notes = self._notes
        if stamp != notes.stamp:
            if self._unix_clock_ns() - max(stamp[:2]) < _RESTED_NS:
                return
            notes = self._notes = _Notes(stamp, {})
        elif len(notes.digests) >= _MAX_EXTENTS:
            notes.digests.clear()
        notes.digests[offset_bytes] = digest


def stamp_of(descriptor: int) -> Stamp:
    """The stamp of an open file."""
    found = os.fstat(descriptor)
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size
