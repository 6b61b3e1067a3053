"""The catalogue's tables, and who may use them.

`entries` names contents, `blobs` has them: contents are stored once however many keys name them.
`blobs.uses` counts the entries and links that lead there; contents without any go at once.
`links` leads from contents (a manifest) to those that they need. `free_space` is what nobody
uses of the packed file. `totals` has one row, and what `stored_bytes` may be at most, if anything.

A store is ours by SQLite's `application_id`, and its format is `user_version`; both are written in
the transaction that makes the tables, so that a catalogue is either empty or complete.
"""

import functools
import sqlite3
from contextlib import closing
from pathlib import Path

from torchstash.cache.disk.error_mapping import damaged_catalogue
from torchstash.cache.errors import BackendFormatError

# "tsto"
APPLICATION_ID = 0x7473746F
# 1 kept small values in the catalogue, 2 had no quotas, 3 checked notes and not their keys. None
# was released, and all are refused by name.
FORMAT_VERSION = 4
# No row is longer than a quarter of a page by much, so small pages waste little, and a commit
# writes few bytes (measured).
PAGE_SIZE_BYTES = 4096

_SCHEMA = (
    # `note` travels with the name: what its writer has to say of the contents.
    # `accessed_tick` orders entries by their last use. It counts commits, not seconds: a clock
    # that jumps must not evict what is in use. `crc32`: see `entry_check.py`.
    """
    CREATE TABLE entries (
        key BLOB NOT NULL PRIMARY KEY,
        blob_id INTEGER NOT NULL REFERENCES blobs (id),
        written_unix_ns INTEGER NOT NULL,
        accessed_tick INTEGER NOT NULL,
        note BLOB,
        crc32 INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    # The contents lie in `data`, or in the packed file at `packed_offset_bytes`, or, where both
    # are NULL, in a file of their own. `is_synced`: they survive power loss. `is_damaged`: a
    # reader found other bytes, so the next put writes them again.
    """
    CREATE TABLE blobs (
        id INTEGER PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE,
        size_bytes INTEGER NOT NULL,
        uses INTEGER NOT NULL,
        is_synced INTEGER NOT NULL,
        is_damaged INTEGER NOT NULL DEFAULT 0,
        packed_offset_bytes INTEGER,
        data BLOB
    )
    """,
    """
    CREATE TABLE links (
        parent_id INTEGER NOT NULL REFERENCES blobs (id),
        child_id INTEGER NOT NULL REFERENCES blobs (id),
        PRIMARY KEY (parent_id, child_id)
    ) WITHOUT ROWID
    """,
    "CREATE TABLE free_space (offset_bytes INTEGER PRIMARY KEY, size_bytes INTEGER NOT NULL)",
    "CREATE INDEX free_space_by_size ON free_space (size_bytes)",
    """
    CREATE TABLE totals (
        id INTEGER PRIMARY KEY CHECK (id = 0),
        stored_bytes INTEGER NOT NULL,
        tick INTEGER NOT NULL,
        packed_end_bytes INTEGER NOT NULL,
        free_bytes INTEGER NOT NULL,
        quota_bytes INTEGER
    )
    """,
    "INSERT INTO totals VALUES (0, 0, 0, 0, 0, NULL)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {FORMAT_VERSION}",
)

# As bytes: damaged letters may be no text.
_TABLES = """
    SELECT CAST(type AS BLOB), CAST(name AS BLOB), CAST(tbl_name AS BLOB), rootpage,
    CAST(sql AS BLOB) FROM sqlite_schema ORDER BY rowid
"""


def is_new(connection: sqlite3.Connection, place: Path) -> bool:
    """Whether the catalogue is still empty.

    Raises:
        BackendFormatError: It is a database of something else, or of another version of ours.
        BackendCorruptError: Its tables are said to be others than were made.
    """
    application_id = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application_id == APPLICATION_ID:
        if version != FORMAT_VERSION:
            age = "a newer" if version > FORMAT_VERSION else "an older"
            raise BackendFormatError(
                f"the store at {place} has format {version}, and this version of torchstash reads "
                f"format {FORMAT_VERSION}; nothing was changed: use {age} torchstash"
            )
        if not has_our_tables(connection):
            # A damaged letter can make a look-up find nothing, and nobody would know.
            raise damaged_catalogue(place.parent, "its schema is not the one that was made")
        return False
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if application_id or version or tables:
        raise BackendFormatError(
            f"the database at {place} is none of torchstash's (application_id "
            f"{application_id:#x}, user_version {version}, {tables} objects); "
            "nothing was changed: name another folder"
        )
    return True


def has_our_tables(connection: sqlite3.Connection) -> bool:
    """Whether the schema is, letter by letter, the one that `create` makes."""
    return _tables(connection) == _our_tables()


@functools.cache
def _our_tables() -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("PRAGMA auto_vacuum = NONE")
        create(connection)
        return _tables(connection)


def _tables(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    rows = connection.execute(_TABLES).fetchall()
    return [(*rest, b" ".join((sql or b"").split())) for *rest, sql in rows]


def create(connection: sqlite3.Connection) -> None:
    """Make the tables. The caller has begun the transaction, and commits it.

    Whoever changes a statement changes the format: stores are compared with it, line breaks aside.
    """
    for statement in _SCHEMA:
        connection.execute(statement)
