"""What a writer does to the catalogue, inside one transaction.

Contents that no entry names any more are dropped in the same transaction; their files are
removed later, by the caller, for the transaction may still fail.
"""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

# Eviction goes this much below the cap, so that not every put has to evict.
_SLACK_DIVISOR = 16


class BlobRow(NamedTuple):
    """Contents that the catalogue knows."""

    blob_id: int
    size_bytes: int
    is_synced: bool
    is_damaged: bool


class Transaction:
    """A write transaction over `connection`, which the caller has begun and commits.

    Attributes:
        dropped_files: Digests of contents that lost their last entry and lie in a file.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute
        self._executemany = connection.executemany
        self.dropped_files: list[bytes] = []

    def advance_clock(self, ticks: int) -> int:
        """Take `ticks` ticks of the clock that orders uses; the first of them."""
        statement = "UPDATE totals SET tick = tick + ? RETURNING tick"
        last: int = self._execute(statement, (ticks,)).fetchall()[0][0]
        return last - ticks + 1

    def blob(self, digest: bytes) -> BlobRow | None:
        """What is known of these contents."""
        row = self._execute(
            "SELECT id, size_bytes, is_synced, is_damaged FROM blobs WHERE digest = ?",
            (digest,),
        ).fetchone()
        return None if row is None else BlobRow._make(row)

    def add_blob(self, digest: bytes, size_bytes: int, data: bytes | None, *, synced: bool) -> int:
        """Add contents, and their data unless they lie in a file; their id."""
        row_id = self._execute(
            "INSERT INTO blobs (digest, size_bytes, is_synced, data) VALUES (?, ?, ?, ?)",
            (digest, size_bytes, synced, data),
        ).lastrowid
        if row_id is None:
            raise sqlite3.InternalError("SQLite gave the new row no id")
        return row_id

    def renew_blob(self, blob_id: int, data: bytes | None, *, synced: bool) -> None:
        """Contents were written again, to repair them or to put them on the medium."""
        self._execute(
            "UPDATE blobs SET data = ?, is_synced = ?, is_damaged = 0 WHERE id = ?",
            (data, synced, blob_id),
        )

    def mark_damaged(self, digest: bytes) -> None:
        """The next put of these contents has to write them again."""
        self._execute("UPDATE blobs SET is_damaged = 1 WHERE digest = ?", (digest,))

    def set_entry(self, key: bytes, blob_id: int, written_unix_ns: int, tick: int) -> None:
        """Let `key` name these contents."""
        old = self._execute("SELECT blob_id FROM entries WHERE key = ?", (key,)).fetchone()
        if old is None:
            self._execute(
                "INSERT INTO entries VALUES (?, ?, ?, ?)", (key, blob_id, written_unix_ns, tick)
            )
            return
        self._execute(
            "UPDATE entries SET blob_id = ?, written_unix_ns = ?, accessed_tick = ? WHERE key = ?",
            (blob_id, written_unix_ns, tick, key),
        )
        if old[0] != blob_id:
            self._drop_if_unused(old[0])

    def remove_entry(self, key: bytes) -> bool:
        """Forget `key`. False: there was no entry."""
        rows = self._execute(
            "DELETE FROM entries WHERE key = ? RETURNING blob_id", (key,)
        ).fetchall()
        if not rows:
            return False
        self._drop_if_unused(rows[0][0])
        return True

    def _drop_if_unused(self, blob_id: int) -> int:
        """Drop contents that no entry names; their size in bytes, or 0."""
        rows = self._execute(
            "DELETE FROM blobs WHERE id = ?1 "
            "AND NOT EXISTS (SELECT 1 FROM entries WHERE blob_id = ?1) "
            "RETURNING digest, size_bytes, data IS NULL",
            (blob_id,),
        ).fetchall()
        if not rows:
            return 0
        digest, size_bytes, in_file = rows[0]
        if in_file:
            self.dropped_files.append(digest)
        return int(size_bytes)

    def touch(self, keys: Sequence[bytes]) -> None:
        """These entries were read, the last of them last."""
        first_tick = self.advance_clock(len(keys))
        self._executemany(
            "UPDATE entries SET accessed_tick = ? WHERE key = ?", enumerate(keys, first_tick)
        )

    def evict(self, max_bytes: int, current_tick: int) -> None:
        """Forget the entries that were not used for longest until the rest fits.

        Entries of `current_tick` and later go only where the rest of them does not fit either.
        """
        stored_bytes = int(self._execute("SELECT stored_bytes FROM totals").fetchone()[0])
        if stored_bytes <= max_bytes:
            return
        target_bytes = max_bytes - max_bytes // _SLACK_DIVISOR
        oldest_first = self._execute(
            "SELECT key, blob_id, accessed_tick FROM entries "
            "ORDER BY accessed_tick, written_unix_ns"
        ).fetchall()
        for key, blob_id, accessed_tick in oldest_first:
            if stored_bytes <= (max_bytes if accessed_tick >= current_tick else target_bytes):
                return
            self._execute("DELETE FROM entries WHERE key = ?", (key,))
            stored_bytes -= self._drop_if_unused(blob_id)
