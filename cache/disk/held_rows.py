"""New rows of a transaction, held back so that one statement inserts many of them.

What an insertion costs SQLite is mostly the statement and the way down its trees. Rows that come
many at once, in the order of the trees, cost half of that (docs/adr/0056). So contents get their
numbers in the order of their digests, before any of them is placed.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final, TypeAlias, TypeVar

_Row = TypeVar("_Row")

ROWS_AT_ONCE: Final = 32
"""What one statement inserts."""

# SQLite gives a number that is free where the largest one, 2^63 - 1, is in use.
_LARGEST_ID: Final = 1 << 62
_BLOB_COLUMNS: Final = 7
_INSERT_BLOBS: Final = (
    "INSERT INTO blobs (id, digest, size_bytes, uses, is_synced, packed_offset_bytes, data) VALUES"
)
_ENTRY_COLUMNS: Final = 6
_INSERT_ENTRIES: Final = "INSERT INTO entries VALUES"

BlobValues: TypeAlias = tuple[bytes, int, int, bool, int | None, bytes | None]
"""Digest, size in bytes, uses, whether it is synced, offset in the packed file, data."""
EntryValues: TypeAlias = tuple[bytes, int, int, int, bytes | None, int | None]
"""Key, id of the contents, time of writing, tick, note, checksum of the note."""


HeldEntry: TypeAlias = tuple[EntryValues, bool, bool]
"""An entry that is to be, and what `Transaction.set_entry` was told: `counted` and `refresh`."""


def last_id(connection: sqlite3.Connection) -> int | None:
    """The largest number of contents; None where those behind it may not suffice."""
    [(found,)] = connection.execute("SELECT coalesce(max(id), 0) FROM blobs")
    return found if 0 <= found < _LARGEST_ID else None


class HeldRows:
    """Rows that are not in the catalogue yet. The caller has begun a write transaction.

    Args:
        connection: Whose transaction it is.
        digests: New contents that are expected, each of them once.
        last_id: What `last_id` gave.
    """

    def __init__(
        self, connection: sqlite3.Connection, digests: Sequence[bytes], last_id: int
    ) -> None:
        self._connection = connection
        self._next_id = last_id + 1 + len(digests)
        self._ids = dict(zip(sorted(digests), range(last_id + 1, self._next_id), strict=True))
        self._blobs: list[tuple[int, *BlobValues]] = []
        self._entries: dict[bytes, HeldEntry] = {}

    def has_any(self) -> bool:
        """Whether `insert` has something to do."""
        return bool(self._blobs or self._entries)

    def hold_blob(self, values: BlobValues) -> int:
        """Take new contents; the id that they will have."""
        blob_id = self._ids.pop(values[0], None)
        if blob_id is None:
            blob_id = self._next_id
            self._next_id += 1
        self._blobs.append((blob_id, *values))
        return blob_id

    def hold_entry(self, entry: HeldEntry) -> bool:
        """Take an entry, unless one of its key is held already."""
        return self._entries.setdefault(entry[0][0], entry) is entry

    def insert(self) -> tuple[list[HeldEntry], list[HeldEntry]]:
        """Insert all; the entries that were, and those that were not: their keys may be in use."""
        blobs, self._blobs = sorted(self._blobs), []
        entries, self._entries = list(self._entries.values()), {}
        for some in _portions(blobs):
            self._connection.execute(*_statement(_INSERT_BLOBS, _BLOB_COLUMNS, some))
        inserted: list[HeldEntry] = []
        refused: list[HeldEntry] = []
        for held in _portions(entries):
            rows = [values for values, _, _ in held]
            try:
                self._connection.execute(*_statement(_INSERT_ENTRIES, _ENTRY_COLUMNS, rows))
            except sqlite3.IntegrityError:
                # One key of them, or more, is in use: the statement has undone itself.
                refused += held
            else:
                inserted += held
        return inserted, refused


def _portions(rows: Sequence[_Row]) -> Iterator[Sequence[_Row]]:
    """The rows, as many at a time as a statement takes, and at last one by one."""
    whole = len(rows) - len(rows) % ROWS_AT_ONCE
    for start in range(0, whole, ROWS_AT_ONCE):
        yield rows[start : start + ROWS_AT_ONCE]
    for row in rows[whole:]:
        yield [row]


def _statement(
    beginning: str, columns: int, rows: Sequence[tuple[object, ...]]
) -> tuple[str, list[object]]:
    """An insertion of rows, and its parameters."""
    row = f"({', '.join('?' * columns)})"
    return f"{beginning} {', '.join([row] * len(rows))}", list(chain.from_iterable(rows))
