"""The catalogue's tables, and who may use them.

`entries` names contents, `blobs` has them: contents are stored once however many keys name them.
`totals` has one row, kept by triggers. A store is ours by SQLite's `application_id`, and its
format is `user_version`; both are written in the transaction that makes the tables, so that a
catalogue is either empty or complete.
"""

import sqlite3
from pathlib import Path

from torchstash.cache.errors import BackendFormatError

# "tsto"
APPLICATION_ID = 0x7473746F
FORMAT_VERSION = 1
# Between small values, which want small pages, and values of 64 KiB, which want large (measured).
PAGE_SIZE_BYTES = 8192

_SCHEMA = (
    # `accessed_tick` orders entries by their last use. It counts commits, not seconds: a clock
    # that jumps must not evict what is in use.
    """
    CREATE TABLE entries (
        key BLOB NOT NULL PRIMARY KEY,
        blob_id INTEGER NOT NULL REFERENCES blobs (id),
        written_unix_ns INTEGER NOT NULL,
        accessed_tick INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX entries_by_blob ON entries (blob_id)",
    # `data` is NULL where the contents lie in a file. `is_synced`: they survive power loss.
    # `is_damaged`: a reader found other bytes, so the next put writes them again.
    """
    CREATE TABLE blobs (
        id INTEGER PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE,
        size_bytes INTEGER NOT NULL,
        is_synced INTEGER NOT NULL,
        is_damaged INTEGER NOT NULL DEFAULT 0,
        data BLOB
    )
    """,
    """
    CREATE TABLE totals (
        id INTEGER PRIMARY KEY CHECK (id = 0),
        stored_bytes INTEGER NOT NULL,
        tick INTEGER NOT NULL
    )
    """,
    "INSERT INTO totals VALUES (0, 0, 0)",
    """
    CREATE TRIGGER blobs_inserted AFTER INSERT ON blobs BEGIN
        UPDATE totals SET stored_bytes = stored_bytes + NEW.size_bytes;
    END
    """,
    """
    CREATE TRIGGER blobs_deleted AFTER DELETE ON blobs BEGIN
        UPDATE totals SET stored_bytes = stored_bytes - OLD.size_bytes;
    END
    """,
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {FORMAT_VERSION}",
)


def is_new(connection: sqlite3.Connection, place: Path) -> bool:
    """Whether the catalogue is still empty.

    Raises:
        BackendFormatError: It is a database of something else, or of a newer version of ours.
    """
    application_id = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application_id == APPLICATION_ID:
        if version > FORMAT_VERSION:
            raise BackendFormatError(
                f"the store at {place} has format {version}, and this version of torchstash reads "
                f"up to format {FORMAT_VERSION}; nothing was changed: use a newer torchstash"
            )
        return False
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if application_id or version or tables:
        raise BackendFormatError(
            f"the database at {place} is none of torchstash's (application_id "
            f"{application_id:#x}, user_version {version}, {tables} objects); "
            "nothing was changed: name another folder"
        )
    return True


def create(connection: sqlite3.Connection) -> None:
    """Make the tables. The caller has begun the transaction, and commits it."""
    for statement in _SCHEMA:
        connection.execute(statement)
