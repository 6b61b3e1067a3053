"""Looks after a store on disk: examines it, collects garbage, repairs, sets its quota.

All of it is safe while others read and write. What only looks works on a medium that cannot be
written.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from typing_extensions import override

from torchstash.cache.capabilities import Closable
from torchstash.cache.digest import Digest
from torchstash.cache.disk.audit import Audit
from torchstash.cache.disk.blob_files import BlobFiles
from torchstash.cache.disk.bookkeeping import correct_books
from torchstash.cache.disk.catalogue import FILE_NAME, Catalogue
from torchstash.cache.disk.collection import Collection
from torchstash.cache.disk.contents_check import ContentsCheck
from torchstash.cache.disk.finding import Finding, FindingKind
from torchstash.cache.disk.journal import Journal
from torchstash.cache.disk.medium import is_on_network
from torchstash.cache.disk.packed_file import PackedFile
from torchstash.cache.disk.reports import Quota, SweepReport
from torchstash.cache.errors import BackendMissingError
from torchstash.cache.keys import encode_key

_LINKED = """
    SELECT child.digest FROM blobs parent
    JOIN links ON links.parent_id = parent.id JOIN blobs child ON child.id = links.child_id
    WHERE parent.digest = ?
"""

_WRITTEN_BEFORE = """
    SELECT key FROM entries WHERE key >= ? AND key < ? AND written_unix_ns < ? ORDER BY key
"""


class DiskMaintenance(Closable):
    """Looks after the store in the folder `path`, which must exist.

    Args:
        path: The folder of the store.
        read_only: For looking alone: on any medium, and nothing is made or changed.

    Raises (from every method):
        BackendMissingError: There is no store at `path`.
        BackendError: It cannot be used; the subclass tells why.
    """

    def __init__(self, path: str | os.PathLike[str], *, read_only: bool = False) -> None:
        folder = self._folder = Path(path).absolute()
        if not (folder / FILE_NAME).exists():
            raise BackendMissingError(f"there is no store at {folder}; check the path")
        on_network = is_on_network(folder)
        self._catalogue = Catalogue(
            folder, durable=True, read_only=read_only, on_network=on_network
        )
        self._files = BlobFiles(folder, durable=True)
        self._packed = PackedFile(folder, durable=True, read_only=read_only, on_network=on_network)

    def audit(self) -> Iterator[Finding]:
        """What is wrong with the books, as it is found. Contents are not read."""
        return Audit(self._folder, self._catalogue, self._files).run()

    def check_contents(
        self,
        *,
        since_unix_ns: int | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> Iterator[Finding]:
        """Hash contents again; what is wrong with them, as it is found.

        Args:
            since_unix_ns: Only what names lead to that were written then or later. None: all.
            on_progress: Told, again and again, how many more bytes were hashed.
        """
        check = ContentsCheck(self._folder, self._catalogue, self._files, self._packed)
        return check.run(since_unix_ns, on_progress)

    def linked(self, digest: Digest) -> set[Digest] | None:
        """The contents that these contents link. None: the store does not have them."""
        with self._catalogue.reading() as connection:
            present = connection.execute("SELECT 1 FROM blobs WHERE digest = ?", (digest.raw,))
            if present.fetchone() is None:
                return None
            rows = connection.execute(_LINKED, (digest.raw,)).fetchall()
        return {Digest(linked) for (linked,) in rows}

    def keys_written_before(self, prefix: str, unix_ns: int) -> list[str]:
        """Keys that begin with `prefix`, in order, of entries that were written before then."""
        first = encode_key(prefix)
        with self._catalogue.reading() as connection:
            # No UTF-8 text has the byte FF.
            rows = connection.execute(_WRITTEN_BEFORE, (first, first + b"\xff", unix_ns))
            return [key.decode() for (key,) in rows]

    def collect(
        self, *, grace_seconds: float = 3600.0, audit: bool = False, dry_run: bool = False
    ) -> SweepReport:
        """Remove what dead writers have left behind; what was removed.

        Args:
            grace_seconds: Unpublished files that were written to more recently stay: their writers
                may be alive. Raise it above the time that the longest commit takes.
            audit: Look at every file. Otherwise only at those that writers took note of, so that
                the cost grows with the garbage, not with the store.
            dry_run: Remove nothing; what would be. Others that write at the time may blur it.
        """
        collection = Collection(
            self._folder, self._catalogue, self._files, self._packed, dry_run=dry_run
        )
        return collection.run(grace_seconds=grace_seconds, audit=audit)

    def repair(self) -> Iterator[Finding]:
        """Put right what can be, in this order; what was wrong, as it is found.

        1. Contents that are damaged are marked: the next put of the same ones writes them again.
           Their bytes stay.
        2. The counts of uses, the map of free bytes and the totals are made anew from the names.
           Names that lead nowhere go, and contents that nothing leads to.

        Of what was found, the kinds that lose data still do: their keys have to be put again.
        """
        damaged: list[bytes] = []
        for finding in self.check_contents():
            if finding.digest is not None:
                damaged.append(finding.digest)
                with self._catalogue.writing() as transaction:
                    transaction.mark_damaged(finding.digest)
            yield finding
        # Strays are the business of a collection.
        wrong = [found for found in self.audit() if found.kind is not FindingKind.STRAY_FILE]
        yield from wrong
        if wrong:
            # The notes stay, for a collection.
            journal = Journal(self._folder)
            with self._catalogue.writing() as transaction:
                journal.note_dropped(correct_books(transaction.connection, set(damaged)))

    def quota(self) -> Quota:
        """What the contents take, and what they may."""
        with self._catalogue.reading() as connection:
            used, cap = connection.execute(
                "SELECT stored_bytes, quota_bytes FROM totals"
            ).fetchone()
        return Quota(used, cap)

    def set_quota(self, quota_bytes: int | None) -> None:
        """Let no commit take the contents beyond `quota_bytes`, whoever writes; None: no quota.

        What is there already stays, even where it is more.
        """
        if quota_bytes is not None and quota_bytes < 0:
            raise ValueError(f"a quota is a number of bytes, or None for no quota: {quota_bytes}")
        with self._catalogue.writing() as transaction:
            transaction.connection.execute("UPDATE totals SET quota_bytes = ?", (quota_bytes,))

    @override
    def close(self) -> None:
        self._catalogue.close()
        self._packed.close()
