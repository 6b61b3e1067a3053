"""Examines the books of a store: what the catalogue says of itself, of its uses and its space.

Contents are not read. Everything of the catalogue is of one instant.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from torchstash.cache.disk.affected_keys import affected_keys, key_text
from torchstash.cache.disk.blob_files import BlobFiles
from torchstash.cache.disk.catalogue import Catalogue
from torchstash.cache.disk.entry_check import is_intact
from torchstash.cache.disk.extents import extents_of, free_runs
from torchstash.cache.disk.finding import Finding, FindingKind

# A file of contents without a row is not stray before this age: its writer may be about to commit.
_GRACE_SECONDS = 3600.0

WRONG_USES = """
    SELECT b.id, b.digest, b.uses, coalesce(e.count, 0) + coalesce(l.count, 0) AS found
    FROM blobs b
    LEFT JOIN (SELECT blob_id, count(*) AS count FROM entries GROUP BY blob_id) e
        ON e.blob_id = b.id
    LEFT JOIN (SELECT child_id, count(*) AS count FROM links GROUP BY child_id) l
        ON l.child_id = b.id
    WHERE b.uses IS NOT found OR found = 0
"""
_DANGLING_ENTRIES = """
    SELECT key FROM entries WHERE NOT EXISTS (SELECT 1 FROM blobs WHERE id = entries.blob_id)
"""
_ENTRIES = """
    SELECT e.key, b.digest, e.note, e.crc32 FROM entries e JOIN blobs b ON b.id = e.blob_id
"""
DANGLING_LINKS = """
    SELECT parent_id, child_id FROM links
    WHERE NOT EXISTS (SELECT 1 FROM blobs WHERE id = links.child_id)
    OR NOT EXISTS (SELECT 1 FROM blobs WHERE id = links.parent_id)
"""


class Audit:
    """Examines the store in `folder`."""

    def __init__(self, folder: Path, catalogue: Catalogue, files: BlobFiles) -> None:
        self._folder = folder
        self._catalogue = catalogue
        self._files = files

    def run(self) -> Iterator[Finding]:
        """What is wrong, as it is found.

        Raises:
            BackendError: The store cannot be opened.
        """
        checks: list[Callable[[sqlite3.Connection], Iterator[Finding]]] = [
            self._sqlite,
            self._entries,
            self._links,
            self._uses,
            self._space,
            self._totals,
            self._stray_contents,
        ]
        with self._catalogue.reading() as connection:
            for check in checks:
                try:
                    yield from check(connection)
                except sqlite3.DatabaseError as error:
                    yield Finding(FindingKind.CATALOGUE, f"SQLite cannot read it: {error}")
        yield from self._foreign_files()

    def _sqlite(self, connection: sqlite3.Connection) -> Iterator[Finding]:
        for (found,) in connection.execute("PRAGMA integrity_check"):
            if found != "ok":
                yield Finding(FindingKind.CATALOGUE, f"SQLite's integrity check: {found}")

    def _entries(self, connection: sqlite3.Connection) -> Iterator[Finding]:
        for (key,) in connection.execute(_DANGLING_ENTRIES):
            found = "it names contents that the catalogue does not have"
            yield Finding(FindingKind.DANGLING, found, (key_text(key),))
        for key, *entry in connection.execute(_ENTRIES):
            if not is_intact(key, *entry):
                found = "its key, its address or its note is not the one that was put"
                yield Finding(FindingKind.ENTRY, found, (key_text(key),))

    def _links(self, connection: sqlite3.Connection) -> Iterator[Finding]:
        rows = connection.execute(DANGLING_LINKS).fetchall()
        parents = {parent_id for parent_id, _ in rows}
        keys = affected_keys(connection, parents)
        for parent_id in sorted(parents):
            found = "it links contents that the catalogue does not have"
            yield Finding(FindingKind.DANGLING, found, keys.get(parent_id, ()))

    def _uses(self, connection: sqlite3.Connection) -> Iterator[Finding]:
        for _, digest, uses, found in connection.execute(WRONG_USES):
            told = f"{found} names and links lead to it, and its row says {uses}"
            yield Finding(FindingKind.USES, told, digest=digest)

    def _space(self, connection: sqlite3.Connection) -> Iterator[Finding]:
        extents, overlapping = extents_of(connection)
        for digest, other in overlapping:
            told = f"its bytes in the packed file are those of {other.hex()} too"
            yield Finding(FindingKind.FREE_SPACE, told, digest=digest)
        end_bytes, free_bytes = connection.execute(
            "SELECT packed_end_bytes, free_bytes FROM totals"
        ).fetchone()
        expected, used_end_bytes = free_runs(extents)
        noted = connection.execute(
            "SELECT offset_bytes, size_bytes FROM free_space ORDER BY offset_bytes"
        ).fetchall()
        if used_end_bytes != end_bytes:
            told = f"the last packed contents end at {used_end_bytes}, not at {end_bytes}"
            yield Finding(FindingKind.FREE_SPACE, told)
        elif expected != noted:
            wrong = sorted(set(expected) ^ set(noted))
            told = f"free and used bytes are not told apart at {[at for at, _ in wrong[:8]]}"
            yield Finding(FindingKind.FREE_SPACE, told)
        elif sum(size for _, size in noted) != free_bytes:
            told = f"{sum(size for _, size in noted)} bytes are free, not {free_bytes}"
            yield Finding(FindingKind.FREE_SPACE, told)

    def _totals(self, connection: sqlite3.Connection) -> Iterator[Finding]:
        summed, noted = connection.execute(
            "SELECT (SELECT coalesce(sum(size_bytes), 0) FROM blobs), stored_bytes FROM totals"
        ).fetchone()
        if summed != noted:
            told = f"the contents take {summed} bytes, and the total says {noted}"
            yield Finding(FindingKind.TOTALS, told)

    def _stray_contents(self, connection: sqlite3.Connection) -> Iterator[Finding]:
        newest = time.time() - _GRACE_SECONDS
        for digests in self._files.digests_by_folder():
            for digest in digests:
                query = "SELECT 1 FROM blobs WHERE digest = ?"
                if connection.execute(query, (digest,)).fetchone() is not None:
                    continue
                path = Path(self._files.path(digest))
                try:
                    is_stray = path.stat().st_mtime <= newest
                except FileNotFoundError:
                    continue
                if is_stray:
                    told = f"nothing leads to {path}; a collection with an audit removes it"
                    yield Finding(FindingKind.STRAY_FILE, told, digest=digest)

    def _foreign_files(self) -> Iterator[Finding]:
        for path in self._files.foreign():
            told = f"{path} is none of the store's; nothing removes it"
            yield Finding(FindingKind.STRAY_FILE, told)
