"""Fills a new catalogue with what was found sound."""

import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Iterable

from torchstash.cache.digest import Digest
from torchstash.cache.disk.blob_files import BlobFiles
from torchstash.cache.disk.bookkeeping import correct_books
from torchstash.cache.disk.packed_file import PackedFile
from torchstash.cache.disk.salvage.found_contents import (
    SoundContents,
    read_contents,
    sound_contents,
)
from torchstash.cache.disk.salvage.found_rows import FoundEntry, FoundRows
from torchstash.cache.disk.salvage.hints import Hints
from torchstash.cache.keys import encode_key

_ADD_ENTRY = "INSERT OR IGNORE INTO entries VALUES (?, ?, ?, ?, ?, ?)"


class NewCatalogue:
    """Fills the empty catalogue behind `connection`, within a transaction of the caller's.

    Attributes:
        kept_keys: Those that came back.
        lost_keys: Those that were read and do not come back.
        nameless: Contents that no key led to, and that have a key of their own now.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        found: FoundRows,
        hints: Hints,
        files: BlobFiles,
        packed: PackedFile,
    ) -> None:
        self._connection = connection
        self._found = found
        self._hints = hints
        self._files = files
        self._packed = packed
        # The ids of the new rows. Small ones stay in the new catalogue: only the place is kept.
        self._ids: dict[bytes, int] = {}
        self._places: dict[bytes, SoundContents] = {}
        self.lost_keys: list[str] = []
        self.nameless: list[Digest] = []
        self.kept_keys: list[str] = []

    @property
    def contents(self) -> int:
        """How many contents were found sound."""
        return len(self._ids)

    def fill(self) -> None:
        """Everything. Raises `sqlite3.Error` and `OSError`."""
        for sound in sound_contents(self._found.blobs, self._files, self._packed):
            self._add_contents(sound)
        believed = _believed_ids(self._found, self._ids)
        doubted = self._doubted(believed)
        by_key: dict[str, list[FoundEntry]] = defaultdict(list)
        for entry in self._found.entries:
            by_key[entry.key].append(entry)
        for key, entries in by_key.items():
            # Two rows of one key: one of them is damaged.
            if len(entries) > 1 or not self._add_entry(entries[0], believed, doubted):
                self.lost_keys.append(key)
        self._name_the_nameless()
        correct_books(self._connection, ())
        tick = max((entry.accessed_tick for entry in self._found.entries), default=0)
        self._connection.execute(
            "UPDATE totals SET tick = ?, quota_bytes = ?",
            (min(tick, 1 << 62), self._found.quota_bytes),
        )

    def _add_contents(self, sound: SoundContents) -> None:
        if sound.digest in self._ids:
            return
        cursor = self._connection.execute(
            "INSERT INTO blobs (digest, size_bytes, uses, is_synced, packed_offset_bytes, data) "
            "VALUES (?, ?, 0, ?, ?, ?)",
            (
                sound.digest,
                sound.size_bytes,
                sound.is_synced,
                sound.packed_offset_bytes,
                sound.data,
            ),
        )
        if cursor.lastrowid is None:
            raise sqlite3.InternalError("SQLite gave the new row no id")
        self._ids[sound.digest] = cursor.lastrowid
        if sound.data is None:
            self._places[sound.digest] = sound

    def _doubted(self, believed: dict[int, bytes]) -> set[int]:
        """Ids to which more leads than their rows say: something of it is damaged."""
        leading = Counter(entry.blob_id for entry in self._found.entries)
        for children in self._found.links.values():
            leading.update(children)
        return {
            blob.blob_id
            for blob in self._found.blobs
            if leading[blob.blob_id] > blob.uses and blob.blob_id in believed
        }

    def _add_entry(self, entry: FoundEntry, believed: dict[int, bytes], doubted: set[int]) -> bool:
        told = self._hints.contents_of(entry.key, entry.note)
        digest = told.raw if told is not None else believed.get(entry.blob_id)
        if entry.is_misplaced or (told is None and entry.blob_id in doubted):
            return False
        if digest is None or digest not in self._ids:
            return False
        links = self._links(entry, digest, believed)
        if links is None or not all(link in self._ids for link in links):
            return False
        blob_id = self._ids[digest]
        self._connection.execute(
            _ADD_ENTRY,
            (
                encode_key(entry.key),
                blob_id,
                entry.written_unix_ns,
                entry.accessed_tick,
                entry.note,
                entry.note_crc32,
            ),
        )
        self._connection.executemany(
            "INSERT OR IGNORE INTO links VALUES (?, ?)",
            ((blob_id, self._ids[link]) for link in links),
        )
        self.kept_keys.append(entry.key)
        return True

    def _links(
        self, entry: FoundEntry, digest: bytes, believed: dict[int, bytes]
    ) -> Iterable[bytes] | None:
        """What the entry needs beside its contents; None: nobody knows."""
        if self._hints.needs_data(entry.key):
            told = self._hints.links_of(entry.key, self._data(digest))
            if told is not None:
                return [link.raw for link in told]
        linked = [believed.get(child) for child in self._found.links.get(entry.blob_id, ())]
        return None if None in linked else [link for link in linked if link is not None]

    def _data(self, digest: bytes) -> bytes:
        place = self._places.get(digest)
        if place is not None:
            return read_contents(place, self._files, self._packed)
        query = "SELECT data FROM blobs WHERE digest = ?"
        return bytes(self._connection.execute(query, (digest,)).fetchone()[0])

    def _name_the_nameless(self) -> None:
        query = (
            "SELECT digest FROM blobs WHERE id NOT IN (SELECT blob_id FROM entries) "
            "AND id NOT IN (SELECT child_id FROM links) ORDER BY digest"
        )
        for (raw,) in self._connection.execute(query).fetchall():
            digest = Digest(raw)
            key = self._hints.key_of_nameless(digest)
            if key is not None:
                row = (encode_key(key), self._ids[raw], time.time_ns(), 0, None, None)
                self._connection.execute(_ADD_ENTRY, row)
                self.nameless.append(digest)


def _believed_ids(found: FoundRows, sound: dict[bytes, int]) -> dict[int, bytes]:
    """Which sound contents an id means, by the rows of contents and the index of their digests.

    Where both say the same that is believed, and otherwise what alone is possible.
    """
    rows: dict[int, set[bytes]] = defaultdict(set)
    for blob in found.blobs:
        rows[blob.blob_id].add(blob.digest)
    believed: dict[int, bytes] = {}
    for blob_id in rows.keys() | found.ids.keys():
        by_row, by_index = rows.get(blob_id, set()), found.ids.get(blob_id, set())
        possible = (by_row & by_index) or (by_row | by_index)
        possible = {digest for digest in possible if digest in sound}
        if len(possible) == 1:
            [believed[blob_id]] = possible
    return believed
