"""Notes of entries, and how damage to them is found out.

A note is a few bytes that every look-up reads, so its check is as cheap as the look-up: a CRC-32,
which finds each error of up to 32 bits in a row. Whoever could forge it could forge a digest too,
for both lie in the same row.
"""

import zlib

from torchstash.cache.disk.transaction import Note

NO_NOTE = Note(None, None)


def noted(data: bytes | None) -> Note:
    """A note as the catalogue keeps it."""
    return NO_NOTE if data is None else Note(data, zlib.crc32(data))


def is_intact(data: bytes | None, crc32: int | None) -> bool:
    """Whether a note is the one that was written."""
    if data is None or crc32 is None:
        return data is None and crc32 is None
    return zlib.crc32(data) == crc32
