"""Fills a new catalogue with what was found sound."""

import sqlite3
import time
from collections import defaultdict
from collections.abc import Container, Iterable

from torchstash.cache.digest import Digest
from torchstash.cache.disk.blob_files import BlobFiles
from torchstash.cache.disk.bookkeeping import correct_books
from torchstash.cache.disk.entry_check import entry_crc32, is_intact
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
        possible = _possible_contents(self._found, self._ids)
        by_key: dict[str, dict[FoundEntry, bytes]] = defaultdict(dict)
        for entry in self._found.entries:
            intact = by_key[entry.key]
            digest = self._digest_of(entry, possible)
            if digest is not None:
                intact[entry] = digest
        for key, intact in by_key.items():
            # Of two that are intact nobody can tell which one is of today.
            if len(intact) != 1 or not self._add_entry(*intact.popitem(), possible):
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

    def _digest_of(self, entry: FoundEntry, possible: dict[int, set[bytes]]) -> bytes | None:
        """What the entry names; None: it is damaged, or the contents are."""
        told = self._hints.contents_of(entry.key, entry.note)
        digests = (
            possible.get(entry.blob_id, set()) if told is None else {told.raw} & self._ids.keys()
        )
        key = encode_key(entry.key)
        named = [d for d in digests if is_intact(key, d, entry.note, entry.crc32)]
        return named[0] if len(named) == 1 else None

    def _add_entry(self, entry: FoundEntry, digest: bytes, possible: dict[int, set[bytes]]) -> bool:
        links = self._links(entry, digest, possible)
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
                entry.crc32,
            ),
        )
        self._connection.executemany(
            "INSERT OR IGNORE INTO links VALUES (?, ?)",
            ((blob_id, self._ids[link]) for link in links),
        )
        self.kept_keys.append(entry.key)
        return True

    def _links(
        self, entry: FoundEntry, digest: bytes, possible: dict[int, set[bytes]]
    ) -> Iterable[bytes] | None:
        """What the entry needs beside its contents; None: nobody knows."""
        if self._hints.needs_data(entry.key):
            told = self._hints.links_of(entry.key, self._data(digest))
            if told is not None:
                return [link.raw for link in told]
        linked = [possible.get(child, set()) for child in self._found.links.get(entry.blob_id, ())]
        if any(len(digests) != 1 for digests in linked):
            return None
        return [link for digests in linked for link in digests]

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
                raw_key = encode_key(key)
                crc32 = entry_crc32(raw_key, raw, None)
                row = (raw_key, self._ids[raw], time.time_ns(), 0, None, crc32)
                self._connection.execute(_ADD_ENTRY, row)
                self.nameless.append(digest)


def _possible_contents(found: FoundRows, sound: Container[bytes]) -> dict[int, set[bytes]]:
    """Which sound contents an id may mean, by the rows of contents and the index of their digests.

    Where both say the same that is believed, and otherwise either.
    """
    rows: dict[int, set[bytes]] = defaultdict(set)
    for blob in found.blobs:
        rows[blob.blob_id].add(blob.digest)
    possible: dict[int, set[bytes]] = {}
    for blob_id in rows.keys() | found.ids.keys():
        by_row, by_index = rows.get(blob_id, set()), found.ids.get(blob_id, set())
        said = (by_row & by_index) or (by_row | by_index)
        possible[blob_id] = {digest for digest in said if digest in sound}
    return possible
