"""Notes of entries, and how damage to them is found out.

A note is small and read at every look-up, so its check is the first 16 bytes of a digest: enough
against damage, and against anybody who could not write to the store anyway.
"""

from torchstash.cache.blake3_hasher import hash_whole
from torchstash.cache.disk.transaction import Note

_CHECK_BYTES = 16
NO_NOTE = Note(None, None)


def noted(data: bytes | None) -> Note:
    """A note as the catalogue keeps it."""
    return NO_NOTE if data is None else Note(data, hash_whole(data)[:_CHECK_BYTES])


def is_intact(data: bytes | None, digest: bytes | None) -> bool:
    """Whether a note is the one that was written."""
    if data is None or digest is None:
        return data is None and digest is None
    return hash_whole(data)[:_CHECK_BYTES] == digest
