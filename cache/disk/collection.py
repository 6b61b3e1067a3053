"""Removal of what dead writers have left in a store.

A writer that may leave a file over has noted so (`journal.py`): what its notes name is looked up,
and files that no row names go. Notes are read in a write transaction, and writers publish in
transactions too, so that a file without a row is garbage there, however young. Files that were
never published go when they were not written to for the grace period.

An audit looks at every file instead. It finds what notes do not tell: those of an older version of
this program, or that power loss has taken.
"""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from sqlite3 import Connection

from torchstash.cache.disk.blob_files import BlobFiles
from torchstash.cache.disk.catalogue import Catalogue
from torchstash.cache.disk.error_mapping import typed_errors
from torchstash.cache.disk.journal import journals, noted_digests
from torchstash.cache.disk.packed_file import PackedFile
from torchstash.cache.disk.reports import SweepReport


class Collection:
    """One collection of garbage from the store in `folder`.

    `report` grows while it runs. In a dry run nothing is removed, and `report` tells what would be.
    """

    def __init__(
        self,
        folder: Path,
        catalogue: Catalogue,
        files: BlobFiles,
        packed: PackedFile,
        *,
        dry_run: bool,
    ) -> None:
        self._folder = folder
        self._catalogue = catalogue
        self._files = files
        self._packed = packed
        self._dry_run = dry_run
        self._orphans: set[bytes] = set()
        self._temporary_files = 0
        self._freed_bytes = 0

    @property
    def report(self) -> SweepReport:
        """What was removed so far, or would be."""
        return SweepReport(len(self._orphans), self._temporary_files, self._freed_bytes)

    def run(self, *, grace_seconds: float, audit: bool) -> SweepReport:
        """Everything.

        Raises:
            BackendReadOnlyError: The store may not be written, and this is no dry run.
        """
        with typed_errors(self._folder):
            if not self._dry_run:
                self._settle_log()
            self._noted()
            if audit:
                for digests in self._files.digests_by_folder():
                    self._orphans_among(digests)
            self._surplus()
            self._unpublished(time.time() - grace_seconds)
        return self.report

    def _settle_log(self) -> None:
        """Write over what a commit that failed may have left at the end of the catalogue's log.

        Whoever recovers the log would take it for committed, and look for files that are gone.
        """
        with self._catalogue.writing() as transaction:
            transaction.connection.execute("UPDATE totals SET tick = tick + 1")

    def _noted(self) -> None:
        for path in journals(self._folder):
            try:
                digests = noted_digests(path)
            except FileNotFoundError:
                continue  # Its writer has done it all meanwhile.
            self._orphans_among(digests, notes=path)

    def _orphans_among(self, digests: Iterable[bytes], notes: Path | None = None) -> None:
        if self._dry_run:
            with self._catalogue.reading() as connection:
                for digest in _without_row(connection, digests):
                    size_bytes = self._files.size_bytes(digest)
                    if size_bytes is not None:
                        self._count_orphan(digest, size_bytes)
            return
        with self._catalogue.writing() as transaction:
            for digest in _without_row(transaction.connection, digests):
                if self._files.size_bytes(digest) is not None:
                    self._count_orphan(digest, self._files.remove(digest))
            if notes is not None:
                notes.unlink(missing_ok=True)

    def _count_orphan(self, digest: bytes, size_bytes: int) -> None:
        if digest not in self._orphans:
            self._orphans.add(digest)
            self._freed_bytes += size_bytes

    def _surplus(self) -> None:
        """The packed file ends where the last entry in it does."""
        if self._dry_run:
            with self._catalogue.reading() as connection:
                end_bytes = connection.execute("SELECT packed_end_bytes FROM totals").fetchone()[0]
                try:
                    self._freed_bytes += max(0, self._packed.size_bytes() - end_bytes)
                except FileNotFoundError:
                    return  # Nothing was ever packed, in a store that is only read.
        else:
            with self._catalogue.writing() as transaction:
                self._freed_bytes += self._packed.truncate(transaction.free_space.end_bytes)

    def _unpublished(self, newest_unix_seconds: float) -> None:
        for path in self._files.temporaries():
            try:
                status = path.stat()
                if status.st_mtime <= newest_unix_seconds:
                    if not self._dry_run:
                        path.unlink()
                    self._temporary_files += 1
                    self._freed_bytes += status.st_size
            except FileNotFoundError:
                continue  # Published meanwhile, or collected by another process.


def _without_row(connection: Connection, digests: Iterable[bytes]) -> Iterator[bytes]:
    for digest in digests:
        if connection.execute("SELECT 1 FROM blobs WHERE digest = ?", (digest,)).fetchone() is None:
            yield digest
