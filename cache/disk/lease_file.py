"""Leases of a folder: rows of a small database of their own, which nothing else depends on.

One transaction takes a lease, or takes over one that has run out, so no death leaves anything half
done. The file is made when the first lease is asked for, and may be deleted at any time.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from torchstash.cache.disk.error_mapping import typed_errors

_BUSY_SECONDS = 1.0
_CREATE = """
CREATE TABLE IF NOT EXISTS leases (
  key BLOB PRIMARY KEY, holder BLOB NOT NULL, until REAL NOT NULL
) WITHOUT ROWID
"""
_FORGET = "DELETE FROM leases WHERE until <= ?"
_TAKE = "INSERT INTO leases (key, holder, until) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_GIVE_BACK = "DELETE FROM leases WHERE key = ? AND holder = ?"


class LeaseFile:
    """The leases of the store in `folder`, for any number of processes. Thread-safe.

    A connection lives for one operation: leases are for work that takes far longer.

    Args:
        folder: Of the store.
        unix_clock: Seconds since 1970, the same in every process of the machine.
    """

    def __init__(self, folder: Path, *, unix_clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._unix_clock = unix_clock

    def acquire(self, raw_key: bytes, holder: bytes, life_seconds: float) -> bool:
        """As `Leasable.acquire_lease`."""
        now = self._unix_clock()
        with self._transaction() as connection:
            connection.execute(_FORGET, (now,))
            taken = connection.execute(_TAKE, (raw_key, holder, now + life_seconds))
            return taken.rowcount == 1

    def release(self, raw_key: bytes, holder: bytes) -> None:
        """As `Leasable.release_lease`."""
        with self._transaction() as connection:
            connection.execute(_GIVE_BACK, (raw_key, holder))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        path = self._folder / "leases.sqlite3"
        with (
            typed_errors(self._folder),
            closing(sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)) as opened,
        ):
            # Power loss may take leases, which is what it does to their holders.
            opened.execute("PRAGMA synchronous = OFF")
            opened.execute("BEGIN IMMEDIATE")
            try:
                opened.execute(_CREATE)
                yield opened
            except BaseException:
                opened.execute("ROLLBACK")
                raise
            opened.execute("COMMIT")
