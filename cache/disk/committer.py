"""How puts become durable, in this order.

1. Hash each value, and write the large ones to files under `tmp` (with `durable`: synced).
2. Begin a transaction, which excludes every other writer of the store.
3. Rename the files into place where contents are absent, of a wrong size, or known to be damaged
   (with `durable`: sync their folders); write the rows; evict, if there is a cap.
4. Commit.
5. Remove the files of contents that lost their last entry in step 4, in a transaction of its own
   that looks again whether any entry names them.

Death at any instant leaves the entries before or after, and at worst files that no row names:
under `tmp` before step 3, in place before steps 4 and 5. `DiskBackend.sweep` removes those.
"""

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from torchstash.cache.buffers import flat_view
from torchstash.cache.digest import digest_bytes
from torchstash.cache.disk.blob_files import BlobFiles
from torchstash.cache.disk.catalogue import Catalogue
from torchstash.cache.disk.error_mapping import typed_errors
from torchstash.cache.disk.put import Put
from torchstash.cache.disk.staged_put import StagedPut
from torchstash.cache.disk.transaction import Transaction
from torchstash.cache.errors import BackendError, DigestConflictError
from torchstash.cache.keys import encode_key

# Up to here a value lies in the catalogue.
INLINE_MAX_BYTES = 64 << 10


class Committer:
    """Writes to one store. Safe for threads."""

    def __init__(
        self,
        folder: Path,
        catalogue: Catalogue,
        files: BlobFiles,
        *,
        durable: bool,
        max_bytes: int | None,
    ) -> None:
        self._folder = folder
        self._catalogue = catalogue
        self._files = files
        self._durable = durable
        self._max_bytes = max_bytes

    def commit(self, puts: Iterable[Put], recent_reads: list[bytes]) -> int:
        """Keep all of `puts` or, on any exception, none; how many they were."""
        staged: list[StagedPut] = []
        published: list[bytes] = []
        try:
            for put in puts:
                staged.append(self._stage(put))
            with self._catalogue.writing() as transaction:
                self._write(transaction, staged, recent_reads, published)
        except BaseException:
            self.remove_unused_files(published)
            raise
        finally:
            for item in staged:
                if item.temporary is not None:
                    self._files.discard_temporary(item.temporary)
        self.remove_unused_files(transaction.dropped_files)
        return len(staged)

    def _stage(self, put: Put) -> StagedPut:
        key = encode_key(put.key)
        view = flat_view(put.data)
        size_bytes = view.nbytes
        digest = digest_bytes(view) if put.digest is None else put.digest.raw
        staged = StagedPut(key, digest, size_bytes)
        if self._max_bytes is not None and size_bytes > self._max_bytes:
            return staged
        if size_bytes <= INLINE_MAX_BYTES:
            staged.inline_data = put.data if isinstance(put.data, bytes) else bytes(view)
            return staged
        staged.source = view
        if self._files.size_bytes(digest) != size_bytes or not self._catalogue.has_file(digest):
            with typed_errors(self._folder):
                staged.temporary = self._files.write_temporary(view)
        return staged

    def _write(
        self,
        transaction: Transaction,
        staged: list[StagedPut],
        recent_reads: list[bytes],
        published: list[bytes],
    ) -> None:
        now_unix_ns = time.time_ns()
        if recent_reads:
            transaction.touch(recent_reads)
        first_tick = transaction.advance_clock(len(staged))
        for tick, item in enumerate(staged, first_tick):
            if item.inline_data is None and item.source is None:
                # Larger than the whole cache. The old value must not stay in its place.
                transaction.remove_entry(item.key)
                continue
            blob_id = self._place(transaction, item, published)
            transaction.set_entry(item.key, blob_id, now_unix_ns, tick)
        if self._max_bytes is not None:
            transaction.evict(self._max_bytes, first_tick)
        if self._durable:
            self._files.sync_folders(published)

    def _place(self, transaction: Transaction, item: StagedPut, published: list[bytes]) -> int:
        """Have the contents in the store; the id of their row."""
        row = transaction.blob(item.digest)
        if row is None:
            if item.inline_data is None:
                self._publish(item, published)
            return transaction.add_blob(
                item.digest, item.size_bytes, item.inline_data, synced=self._durable
            )
        if row.size_bytes != item.size_bytes:
            raise DigestConflictError(
                f"the digest {item.digest.hex()} was given for {item.size_bytes} bytes, but the "
                f"store at {self._folder} keeps {row.size_bytes} bytes under it; hash them again"
            )
        if item.inline_data is not None:
            if row.is_damaged:
                transaction.renew_blob(row.blob_id, item.inline_data, synced=self._durable)
        elif row.is_damaged or self._files.size_bytes(item.digest) != item.size_bytes:
            self._publish(item, published)
            transaction.renew_blob(row.blob_id, None, synced=self._durable)
        elif self._durable and not row.is_synced:
            self._files.sync_file(item.digest)
            published.append(item.digest)
            transaction.renew_blob(row.blob_id, None, synced=True)
        return row.blob_id

    def _publish(self, item: StagedPut, published: list[bytes]) -> None:
        if item.temporary is None:
            # The file was there when the put was staged, and was removed since: rare.
            if item.source is None:
                raise BackendError(f"nothing was staged for the entry {item.key!r}")
            item.temporary = self._files.write_temporary(item.source)
        self._files.publish(item.temporary, item.digest)
        item.temporary = None
        published.append(item.digest)

    def delete(self, key: bytes) -> bool:
        """Forget `key`; whether there was an entry."""
        with self._catalogue.writing() as transaction:
            existed = transaction.remove_entry(key)
        self.remove_unused_files(transaction.dropped_files)
        return existed

    def touch(self, keys: list[bytes]) -> None:
        """Tell the catalogue what was read. Best effort: it never waits, and never raises."""
        with suppress(BackendError), self._catalogue.writing(wait=False) as transaction:
            transaction.touch(keys)

    def mark_damaged(self, digest: bytes) -> None:
        """Let the next put of these contents write them again. Best effort, like `touch`."""
        with suppress(BackendError), self._catalogue.writing() as transaction:
            transaction.mark_damaged(digest)

    def remove_unused_files(self, digests: list[bytes]) -> tuple[int, int]:
        """Remove those of the files that no row names; how many, and how many bytes.

        Best effort, for what is asked of it is already done: a sweep gets what stays.
        """
        removed_files = removed_bytes = 0
        if digests:
            with suppress(BackendError), self._catalogue.writing() as transaction:
                for digest in digests:
                    if transaction.blob(digest) is None:
                        removed_bytes += self._files.remove(digest)
                        removed_files += 1
        return removed_files, removed_bytes
