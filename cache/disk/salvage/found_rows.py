"""The rows of a damaged catalogue that are of the form that the engine writes."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

from torchstash.cache.digest import Digest
from torchstash.cache.disk import schema
from torchstash.cache.disk.salvage.image import CatalogueImage
from torchstash.cache.disk.salvage.record import Value
from torchstash.cache.disk.salvage.tree_walk import Row, TreeWalk


@dataclass(frozen=True, slots=True)
class FoundEntry:
    """A row of `entries`, whose checksum was not looked at."""

    key: str
    blob_id: int
    written_unix_ns: int
    accessed_tick: int
    note: bytes | None
    crc32: int


@dataclass(frozen=True, slots=True)
class FoundBlob:
    """A row of `blobs`."""

    blob_id: int
    digest: bytes
    size_bytes: int
    uses: int
    is_synced: bool
    packed_offset_bytes: int | None
    data: bytes | None


@dataclass(slots=True)
class FoundRows:
    """All that was found. Of `links` and `ids`: by the id of contents."""

    entries: list[FoundEntry] = field(default_factory=list)
    blobs: list[FoundBlob] = field(default_factory=list)
    # What the index of digests says.
    ids: dict[int, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    links: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    quota_bytes: int | None = None
    damaged_pages: int = 0


def find_rows(image: CatalogueImage) -> FoundRows:
    """What can be read of a catalogue.

    Rows are told by their form, for a damaged page may lead to one of another table.
    """
    found, walk, roots = FoundRows(), TreeWalk(image), table_roots()
    found.entries += _entries(found, walk.rows(roots["entries"], is_table=False))
    for name in ("sqlite_autoindex_blobs_1", "free_space_by_size", "links"):
        for row in walk.rows(roots[name], is_table=False):
            match row[1]:
                case (int(parent_id), int(child_id)) if name == "links":
                    found.links[parent_id].add(child_id)
                case _:
                    found.entries += _entries(found, (row,))
    for name in ("blobs", "totals", "free_space", "sqlite_schema"):
        for row in walk.rows(roots[name], is_table=True):
            _take(found, row)
    for row in walk.missing_rows(is_table=True):
        _take(found, row)
    found.entries += _entries(found, walk.missing_rows(is_table=False))
    found.damaged_pages = len(walk.damaged_pages)
    return found


def _take(found: FoundRows, row: Row) -> None:
    """A row of a table with rowids."""
    blob = _blob(row)
    if blob is not None:
        found.blobs.append(blob)
    match row:
        case (0, (None, int(), int(), int(), int(), int(quota_bytes))) if quota_bytes >= 0:
            found.quota_bytes = quota_bytes


def _entries(found: FoundRows, rows: Iterable[Row]) -> Iterator[FoundEntry]:
    """The entries among the rows of an index, or of a table without rowids."""
    for row in rows:
        entry = _entry(row)
        if entry is not None:
            yield entry
        else:
            _note_id(found, row)


def table_roots() -> dict[str, int]:
    """The first page of each table and index: no store has them elsewhere, for none is dropped."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("PRAGMA auto_vacuum = NONE")
        schema.create(connection)
        roots = dict(connection.execute("SELECT name, rootpage FROM sqlite_schema"))
    return {"sqlite_schema": 1, **roots}


def _entry(row: Row) -> FoundEntry | None:
    match row[1]:
        case (bytes(key), int(blob_id), int(written), int(tick), note, crc32):
            pass
        case _:
            return None
    if not isinstance(note, bytes | None) or not isinstance(crc32, int):
        return None
    if blob_id < 0 or tick < 0:
        return None
    try:
        return FoundEntry(key.decode(), blob_id, written, tick, note, crc32)
    except UnicodeDecodeError:
        return None


def _blob(row: Row) -> FoundBlob | None:
    rowid, values = row
    match values:
        case (None, bytes(digest), int(size_bytes), int(uses), int(synced), int(), offset, data):
            pass
        case _:
            return None
    if not isinstance(offset, int | None) or not isinstance(data, bytes | None):
        return None
    is_sound = len(digest) == Digest.SIZE_BYTES and size_bytes >= 0 and (offset or 0) >= 0
    if rowid is None or not is_sound:
        return None
    return FoundBlob(rowid, digest, size_bytes, uses, synced == 1, offset, data)


def _note_id(found: FoundRows, row: tuple[int | None, tuple[Value, ...]]) -> None:
    match row[1]:
        case (bytes(digest), int(blob_id)) if len(digest) == Digest.SIZE_BYTES:
            found.ids[blob_id].add(digest)
