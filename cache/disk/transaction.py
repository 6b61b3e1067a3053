"""What a writer does to the catalogue, inside one transaction.

Contents that nothing leads to any more are dropped in the same transaction; their files are
removed later, by the caller, for the transaction may still fail.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from torchstash.cache.disk.entry_check import Note, is_intact
from torchstash.cache.disk.free_space import FreeSpace
from torchstash.cache.disk.held_rows import (
    ROWS_AT_ONCE,
    BlobValues,
    EntryValues,
    HeldRows,
    last_id,
)
from torchstash.cache.disk.select_many import select_many
from torchstash.cache.errors import BackendQuotaError

# Eviction goes this much below the cap, so that not every put has to evict.
_SLACK_DIVISOR = 16
_BLOBS = (
    "SELECT digest, id, size_bytes, is_synced, is_damaged, packed_offset_bytes "
    "FROM blobs WHERE digest"
)


class BlobRow(NamedTuple):
    """Contents that the catalogue knows."""

    blob_id: int
    size_bytes: int
    is_synced: bool
    is_damaged: bool
    packed_offset_bytes: int | None


class Transaction:
    """A write transaction over `connection`, which the caller has begun and commits.

    The caller ends it with `settle`.

    Attributes:
        dropped_files: Digests of contents that lost their last use and lie in a file.
        free_space: The allocator of the packed file.
        connection: For what only maintenance does.
        is_undone: False: committing failed, and yet it may come about.
    """

    def __init__(self, connection: sqlite3.Connection, place: str) -> None:
        self.connection = connection
        self.is_undone = True
        self._place = place
        self._execute = connection.execute
        self._executemany = connection.executemany
        self.dropped_files: list[bytes] = []
        # What `blob` found, and what changed of it since.
        self._known: dict[bytes, BlobRow | None] = {}
        self._pinned: set[int] = set()
        # Those of the pinned contents that nothing led to when last seen.
        self._unused: set[int] = set()
        # New rows that were not inserted yet. While there may be some, `_execute` inserts them
        # before it does anything else.
        self._held: HeldRows | None = None
        *totals, self._quota_bytes = self._execute(
            "SELECT stored_bytes, tick, packed_end_bytes, free_bytes, quota_bytes FROM totals"
        ).fetchone()
        self._totals = tuple(totals)
        self._stored_bytes, self._tick, end_bytes, free_bytes = self._totals
        self.free_space = FreeSpace(connection, end_bytes, free_bytes)

    def advance_clock(self, ticks: int) -> int:
        """Take `ticks` ticks of the clock that orders uses; the first of them."""
        first = self._tick + 1
        self._tick += ticks
        return int(first)

    def settle(self) -> None:
        """Write down what changed in total. Nothing else may follow but the commit.

        Raises:
            BackendQuotaError: There is more now than there was, and than there may be.
        """
        self._insert_held()
        used_bytes = self._totals[0]
        if self._quota_bytes is not None and self._stored_bytes > max(
            used_bytes, self._quota_bytes
        ):
            raise BackendQuotaError(
                self._place, self._quota_bytes, used_bytes, self._stored_bytes - used_bytes
            )
        self.free_space.settle()
        totals = (
            self._stored_bytes,
            self._tick,
            self.free_space.end_bytes,
            self.free_space.free_bytes,
        )
        if totals != self._totals:
            self._execute(
                "UPDATE totals SET stored_bytes = ?, tick = ?, packed_end_bytes = ?, "
                "free_bytes = ?",
                totals,
            )
            self._totals = totals

    def know(self, digests: Iterable[bytes]) -> None:
        """Look many contents up at once, for the calls of `blob` that follow."""
        unknown = [digest for digest in dict.fromkeys(digests) if digest not in self._known]
        self._known.update(dict.fromkeys(unknown))
        for digest, *row in select_many(self.connection, f"{_BLOBS} IN", unknown):
            self._known[digest] = BlobRow._make(row)

    def expect(self, digests: Sequence[bytes]) -> bool:
        """`know` contents that are put next. Whether they are many, so that new rows are held."""
        self.know(digests)
        if self._held is None and len(digests) >= ROWS_AT_ONCE:
            last = last_id(self.connection)
            if last is None:
                return False
            new = [digest for digest in dict.fromkeys(digests) if self._known[digest] is None]
            self._held = HeldRows(self.connection, new, last)
            self._execute = self._execute_in_order
            self._executemany = self._executemany_in_order
        return self._held is not None

    def new_contents(self) -> set[bytes]:
        """The digests that were looked up, and that nothing is known of."""
        return {digest for digest, row in self._known.items() if row is None}

    def hold_named(
        self,
        blobs: Sequence[BlobValues],
        names: Sequence[tuple[bytes, int, int, bytes | None, int | None]],
        *,
        refresh: bool,
    ) -> None:
        """`add_blob` and `set_entry` for `new_contents`, each used once, by a key of its own.

        Args:
            blobs: The contents.
            names: The key of each, and of its entry the time, the tick, and the note.
            refresh: As for `set_entry`.
        """
        held = self._held
        if held is None:
            raise sqlite3.InternalError("this transaction does not hold rows")
        known = self._known
        for blob, name in zip(blobs, names, strict=True):
            key, written_unix_ns, tick, note, crc32 = name
            blob_id = held.hold_blob(blob)
            held.hold_entry(((key, blob_id, written_unix_ns, tick, note, crc32), True, refresh))
            digest, size_bytes, _, synced, packed_offset_bytes, _ = blob
            self._stored_bytes += size_bytes
            known[digest] = BlobRow(blob_id, size_bytes, synced, False, packed_offset_bytes)

    def _execute_in_order(self, query: str, arguments: Any = (), /) -> sqlite3.Cursor:  # noqa: ANN401
        self._insert_held()
        return self.connection.execute(query, arguments)

    def _executemany_in_order(self, query: str, arguments: Any, /) -> sqlite3.Cursor:  # noqa: ANN401
        self._insert_held()
        return self.connection.executemany(query, arguments)

    def _insert_held(self) -> None:
        if self._held is None or not self._held.has_any():
            return
        inserted, refused = self._held.insert()
        for values, counted, _ in inserted:
            if not counted:
                self.use(values[1])
        for entry in refused:
            self._set_entry(*entry)

    def blob(self, digest: bytes) -> BlobRow | None:
        """What is known of these contents."""
        if digest in self._known:
            return self._known[digest]
        row = self._execute(f"{_BLOBS} = ?", (digest,)).fetchone()
        found = self._known[digest] = None if row is None else BlobRow._make(row[1:])
        return found

    def add_blob(
        self,
        digest: bytes,
        size_bytes: int,
        *,
        data: bytes | None = None,
        packed_offset_bytes: int | None = None,
        uses: int,
        synced: bool,
    ) -> int:
        """Add contents; their id. With neither place: in a file."""
        values = (digest, size_bytes, uses, synced, packed_offset_bytes, data)
        if self._held is not None:
            row_id = self._held.hold_blob(values)
        else:
            row_id = self._inserted_blob(values)
        self._stored_bytes += size_bytes
        self._known[digest] = BlobRow(row_id, size_bytes, synced, False, packed_offset_bytes)
        if not uses:
            self._unused.add(row_id)
        return row_id

    def _inserted_blob(self, values: BlobValues) -> int:
        row_id = self._execute(
            "INSERT INTO blobs (digest, size_bytes, uses, is_synced, packed_offset_bytes, data) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            values,
        ).lastrowid
        if row_id is None:
            raise sqlite3.InternalError("SQLite gave the new row no id")
        return row_id

    def renew_blob(
        self,
        digest: bytes,
        row: BlobRow,
        *,
        data: bytes | None = None,
        packed_offset_bytes: int | None = None,
        synced: bool,
    ) -> None:
        """Contents were written again, to repair them or to put them on the medium."""
        if row.packed_offset_bytes is not None and row.packed_offset_bytes != packed_offset_bytes:
            self.free_space.free(row.packed_offset_bytes, row.size_bytes)
        self._execute(
            "UPDATE blobs SET data = ?, packed_offset_bytes = ?, is_synced = ?, is_damaged = 0 "
            "WHERE id = ?",
            (data, packed_offset_bytes, synced, row.blob_id),
        )
        del self._known[digest]

    def mark_synced(self, digest: bytes) -> None:
        """These contents are on the medium now."""
        self._execute("UPDATE blobs SET is_synced = 1 WHERE digest = ?", (digest,))
        self._known.pop(digest, None)

    def mark_damaged(self, digest: bytes) -> None:
        """The next put of these contents has to write them again."""
        self._execute("UPDATE blobs SET is_damaged = 1 WHERE digest = ?", (digest,))
        self._known.pop(digest, None)

    def set_entry(
        self,
        key: bytes,
        blob_id: int,
        now_unix_ns: int,
        tick: int,
        note: Note,
        *,
        counted: bool,
        refresh: bool,
    ) -> None:
        """Let `key` name these contents, and say `note` of them.

        `counted`: their `uses` say so already. `refresh`: take note of the time and the tick of an
        entry that is as it was.
        """
        values = (key, blob_id, now_unix_ns, tick, note.data, note.crc32)
        if self._held is not None:
            # Until its entry is inserted, nothing that is replaced may take the contents along.
            self.pin(blob_id)
            if self._held.hold_entry((values, counted, refresh)):
                return
        self._set_entry(values, counted, refresh)

    def _set_entry(self, values: EntryValues, counted: bool, refresh: bool) -> None:
        key, blob_id, now_unix_ns, tick, *note = values
        added = self._execute(
            "INSERT OR IGNORE INTO entries VALUES (?, ?, ?, ?, ?, ?)", values
        ).rowcount
        if added:
            if not counted:
                self.use(blob_id)
            return
        old_id, *old_note = self._execute(
            "SELECT blob_id, note, crc32 FROM entries WHERE key = ?", (key,)
        ).fetchone()
        if old_id == blob_id and old_note == note and not refresh:
            return
        self._execute(
            "UPDATE entries SET blob_id = ?, written_unix_ns = ?, accessed_tick = ?, note = ?, "
            "crc32 = ? WHERE key = ?",
            (blob_id, now_unix_ns, tick, *note, key),
        )
        if old_id != blob_id:
            if not counted:
                self.use(blob_id)
            self._release_named(key, old_id, Note._make(old_note))

    def link(self, parent_id: int, child_ids: Iterable[int]) -> None:
        """Keep the children for as long as the parent is kept."""
        query = "SELECT child_id FROM links WHERE parent_id = ?"
        linked = {child_id for (child_id,) in self._execute(query, (parent_id,))}
        added = [child_id for child_id in dict.fromkeys(child_ids) if child_id not in linked]
        self._executemany("INSERT INTO links VALUES (?, ?)", ((parent_id, i) for i in added))
        self._executemany("UPDATE blobs SET uses = uses + 1 WHERE id = ?", ((i,) for i in added))
        self._unused.difference_update(added)

    def remove_entry(self, key: bytes) -> bool:
        """Forget `key`. False: there was no entry."""
        rows = self._execute(
            "DELETE FROM entries WHERE key = ? RETURNING blob_id, note, crc32", (key,)
        ).fetchall()
        for blob_id, *note in rows:
            self._release_named(key, blob_id, Note._make(note))
        return bool(rows)

    def pin(self, blob_id: int) -> None:
        """Keep contents until `unpin`, whatever leads to them; an entry of theirs may come yet.

        Nothing of it is written down, so that what is unchanged costs no byte.
        """
        self._pinned.add(blob_id)

    def unpin(self) -> None:
        """Drop those of the pinned contents that nothing leads to."""
        self._insert_held()
        unused, self._unused = self._unused, set()
        self._pinned.clear()
        for blob_id in unused:
            self._drop(blob_id)

    def use(self, blob_id: int) -> None:
        """Count one thing more that leads to these contents."""
        self._execute("UPDATE blobs SET uses = uses + 1 WHERE id = ?", (blob_id,))
        self._unused.discard(blob_id)

    def _release_named(self, key: bytes, blob_id: int, note: Note) -> None:
        """Release what an entry named that is no more.

        What a damaged one leads to may be what others need: `repair` finds out.
        """
        query = "SELECT digest FROM blobs WHERE id = ?"
        for (digest,) in self._execute(query, (blob_id,)).fetchall():
            if is_intact(key, digest, *note):
                self._release(blob_id)

    def _release(self, blob_id: int) -> None:
        """Count one less, and drop the contents if it was the last."""
        self._execute("UPDATE blobs SET uses = uses - 1 WHERE id = ?", (blob_id,))
        self._drop(blob_id)

    def _drop(self, blob_id: int) -> None:
        """Drop contents that nothing leads to, and then what only they led to."""
        waiting = [blob_id]
        while waiting:
            candidate = waiting.pop()
            if candidate in self._pinned:
                self._unused.add(candidate)
                continue
            rows = self._execute(
                "DELETE FROM blobs WHERE id = ? AND uses = 0 "
                "RETURNING id, digest, size_bytes, packed_offset_bytes, data IS NULL",
                (candidate,),
            ).fetchall()
            for dropped_id, digest, size_bytes, packed_offset_bytes, elsewhere in rows:
                self._stored_bytes -= size_bytes
                self._known.pop(digest, None)
                if packed_offset_bytes is not None:
                    self.free_space.free(packed_offset_bytes, size_bytes)
                elif elsewhere:
                    self.dropped_files.append(digest)
                children = self._execute(
                    "DELETE FROM links WHERE parent_id = ? RETURNING child_id", (dropped_id,)
                ).fetchall()
                self._executemany("UPDATE blobs SET uses = uses - 1 WHERE id = ?", children)
                waiting.extend(child_id for (child_id,) in children)

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
        if self._stored_bytes <= max_bytes:
            return
        target_bytes = max_bytes - max_bytes // _SLACK_DIVISOR
        oldest_first = self._execute(
            "SELECT key, accessed_tick FROM entries ORDER BY accessed_tick, written_unix_ns"
        ).fetchall()
        for key, accessed_tick in oldest_first:
            if self._stored_bytes <= (max_bytes if accessed_tick >= current_tick else target_bytes):
                return
            self.remove_entry(key)
