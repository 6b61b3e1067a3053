"""Entries, and how damage to them is found out.

SQLite takes a flipped bit for what was written. An entry's checksum covers its key, the digest of
the contents that it names, and its note: a damaged key is no other name, and a damaged number of
a row is no other value. It is made and checked with each commit and look-up, so it is as cheap as
these: a CRC-32, which finds each error of up to 32 bits in a row.
"""

import zlib
from typing import Final, NamedTuple

from torchstash.cache.errors import CorruptEntryError


class Note(NamedTuple):
    """What an entry says beside naming contents, and the checksum of the entry."""

    data: bytes | None
    crc32: int | None


NO_NOTE: Final = Note(None, None)


def noted(key: bytes | None, digest: bytes, note: bytes | None) -> Note:
    """A note as the catalogue keeps it. Without a key there is no entry, and no note."""
    return NO_NOTE if key is None else Note(note, entry_crc32(key, digest, note))


def entry_crc32(key: bytes, digest: bytes, note: bytes | None) -> int:
    """The checksum of an entry."""
    return zlib.crc32(digest + key + (b"\0" if note is None else b"\1" + note))


def is_intact(key: bytes, digest: bytes, note: bytes | None, crc32: int | None) -> bool:
    """Whether an entry is the one that was written."""
    try:
        return entry_crc32(key, digest, note) == crc32
    except TypeError:
        # Damage can make SQLite take the bytes for text or for a number.
        return False


def require_intact(
    key: str, raw_key: bytes, digest: bytes, note: bytes | None, crc32: int | None
) -> None:
    """Nothing, for an entry that `is_intact`.

    Args:
        key: As its user knows it.
        raw_key: As the catalogue has it.
        digest: Of what it names.
        note: Its note.
        crc32: Its checksum.

    Raises:
        CorruptEntryError: It is not.
    """
    if not is_intact(raw_key, digest, note, crc32):
        raise CorruptEntryError(
            key, "its address or its note in the catalogue is not the one that was put"
        )
