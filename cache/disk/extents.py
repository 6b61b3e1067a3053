"""The packed file as the contents that lie in it tell it, whatever the map of free bytes says."""

import sqlite3
from collections.abc import Iterable

from torchstash.cache.disk.free_space import rounded

# Offset and size in bytes.
Extent = tuple[int, int]

_QUERY = """
    SELECT digest, packed_offset_bytes, size_bytes FROM blobs
    WHERE packed_offset_bytes IS NOT NULL ORDER BY packed_offset_bytes, id
"""


def extents_of(
    connection: sqlite3.Connection,
) -> tuple[list[Extent], list[tuple[bytes, bytes]]]:
    """What lies in the packed file, in order, with its padding; and pairs that overlap."""
    extents: list[Extent] = []
    overlapping: list[tuple[bytes, bytes]] = []
    end_bytes, last = 0, b""
    for digest, offset_bytes, size_bytes in connection.execute(_QUERY):
        extents.append((offset_bytes, rounded(size_bytes)))
        if offset_bytes < end_bytes:
            overlapping.append((digest, last))
        if offset_bytes + rounded(size_bytes) > end_bytes:
            end_bytes, last = offset_bytes + rounded(size_bytes), digest
    return extents, overlapping


def free_runs(extents: Iterable[Extent]) -> tuple[list[Extent], int]:
    """The gaps between `extents`, which are in order, and where the last of them ends."""
    gaps: list[Extent] = []
    end_bytes = 0
    for offset_bytes, size_bytes in extents:
        if offset_bytes > end_bytes:
            gaps.append((end_bytes, offset_bytes - end_bytes))
        end_bytes = max(end_bytes, offset_bytes + size_bytes)
    return gaps, end_bytes
