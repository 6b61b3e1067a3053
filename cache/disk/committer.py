"""How puts become durable, in this order.

1. Hash each value, and write the large ones to files under `tmp` (with `durable`: synced).
2. Begin a transaction, which excludes every other writer of the store.
3. Where contents are absent, of a wrong size, or known to be damaged: rename the files into place,
   and write middling values to free bytes of the packed file. Write the rows; evict, if there is a
   cap. With `durable`: sync the folders and the packed file.
4. Commit.
5. Remove the files of contents that lost their last use in step 4, in a transaction of its own
   that looks again whether anything leads to them.

Death at any instant leaves the entries before or after, and at worst bytes that no row names:
files under `tmp` before step 3, in place before steps 4 and 5, free bytes of the packed file.
Which files those may be is noted before each of the two steps (`journal.py`), and the notes go
when both are done, so that a collection finds what a dead writer left without looking at the rest.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from torchstash.cache.buffers import flat_view
from torchstash.cache.digest import Digest, digest_bytes
from torchstash.cache.disk.blob_files import BlobFiles
from torchstash.cache.disk.catalogue import Catalogue
from torchstash.cache.disk.entry_check import noted
from torchstash.cache.disk.error_mapping import typed_errors
from torchstash.cache.disk.journal import Journal
from torchstash.cache.disk.packed_file import PackedFile
from torchstash.cache.disk.put import GivenFile, Put, Slices
from torchstash.cache.disk.renaming import rename_entry
from torchstash.cache.disk.small_puts import place_small
from torchstash.cache.disk.staged_put import StagedPut
from torchstash.cache.disk.transaction import BlobRow, Transaction
from torchstash.cache.errors import BackendError, DigestConflictError, MissingLinkError
from torchstash.cache.keys import encode_key

# Up to here a value lies in the catalogue: a quarter of a page, so that pages fill well.
CATALOGUE_MAX_BYTES = 1 << 10
# Up to here it lies in the packed file; beyond, in a file of its own, which can be mapped.
PACKED_MAX_BYTES = 64 << 10


@dataclass(slots=True)
class _Placed:
    """What one transaction has put where."""

    journal: Journal
    files: list[bytes] = field(default_factory=list)
    extents: list[tuple[int, bytes | memoryview]] = field(default_factory=list)
    # How long the packed file is, once asked; and where what is put down in it ends.
    packed_size_bytes: int | None = None
    end_bytes: int = 0


class Committer:
    """Writes to one store. Safe for threads."""

    def __init__(
        self,
        folder: Path,
        catalogue: Catalogue,
        files: BlobFiles,
        packed: PackedFile,
        *,
        durable: bool,
        max_bytes: int | None,
    ) -> None:
        self._folder = folder
        self._catalogue = catalogue
        self._files = files
        self._packed = packed
        self._durable = durable
        self._max_bytes = max_bytes

    def stage(self, put: Put, staged: list[StagedPut]) -> None:
        """Step 1 for one put, which is appended to `staged`. Any thread may do this."""
        key = None if put.key is None else encode_key(put.key)
        if put.data is None:
            if put.digest is None:
                raise TypeError("a put has data or the digest of contents that are there")
            note = noted(key, put.digest.raw, put.note)
            staged.append(StagedPut(key, put.digest.raw, None, note, put.links))
            return
        if isinstance(put.data, GivenFile):
            staged.append(_taken_over(key, put, put.data))
            return
        source: memoryview | Slices
        if isinstance(put.data, Slices):
            source, size_bytes = put.data, put.data.size_bytes
            if put.digest is None:
                raise TypeError("contents that come in slices need a digest")
            digest = put.digest.raw
        else:
            source = flat_view(put.data)
            size_bytes = source.nbytes
            digest = digest_bytes(source) if put.digest is None else put.digest.raw
        item = StagedPut(key, digest, size_bytes, noted(key, digest, put.note), put.links)
        if self._max_bytes is not None and size_bytes > self._max_bytes:
            staged.append(item)
        elif size_bytes <= PACKED_MAX_BYTES:
            item.small_data = source
            staged.append(item)
        else:
            item.source = source
            # Before there is a file, so that it is discarded whatever happens.
            staged.append(item)
            if self._files.size_bytes(digest) != size_bytes or not self._catalogue.has_file(digest):
                with typed_errors(self._folder):
                    item.temporary = self._files.write_temporary(_slices(source))

    def stage_small(
        self, puts: Iterable[tuple[str, bytes, memoryview, bytes]], staged: list[StagedPut]
    ) -> None:
        """`stage` for many puts, each its key, digest, contents in memory, and note."""
        for key, digest, data, note in puts:
            size_bytes = len(data)
            if self._max_bytes is not None or size_bytes > PACKED_MAX_BYTES:
                self.stage(Put(key, data, Digest(digest), note), staged)
            else:
                raw_key = encode_key(key)
                named = noted(raw_key, digest, note)
                staged.append(StagedPut(raw_key, digest, size_bytes, named, (), data))

    def discard(self, staged: list[StagedPut]) -> None:
        """Remove what `stage` wrote and no commit has taken."""
        for item in staged:
            if item.temporary is not None:
                self._files.discard_temporary(item.temporary)

    def commit(self, staged: list[StagedPut], recent_reads: list[bytes]) -> None:
        """Steps 2 to 5: keep all that was staged or, on any exception, nothing."""
        placed = _Placed(Journal(self._folder))
        transaction: Transaction | None = None
        try:
            with self._catalogue.writing() as transaction:
                self._write(transaction, staged, recent_reads, placed)
        except BaseException:
            if transaction is None or transaction.is_undone:
                self.remove_unused_files(placed.files, placed.journal)
            raise
        finally:
            self.discard(staged)
        self.remove_unused_files(transaction.dropped_files, placed.journal)

    def _write(
        self,
        transaction: Transaction,
        staged: list[StagedPut],
        recent_reads: list[bytes],
        placed: _Placed,
    ) -> None:
        now_unix_ns = time.time_ns()
        large = [item.digest for item in staged if item.temporary is not None]
        if large:
            placed.journal.note(large)
        if recent_reads:
            transaction.touch(recent_reads)
        # Without a cap nobody asks for the order of uses, and what is unchanged costs no byte.
        keeps_order = self._max_bytes is not None
        first_tick = transaction.advance_clock(len(staged) if keeps_order else 0)
        puts: Iterable[tuple[int, StagedPut]] = enumerate(staged, first_tick)
        if len(staged) > 1 and transaction.expect([item.digest for item in staged]):
            puts = place_small(
                transaction,
                puts,
                placed.extents,
                catalogue_max_bytes=CATALOGUE_MAX_BYTES,
                synced=self._durable,
                now_unix_ns=now_unix_ns,
                refresh=keeps_order,
            )
            placed.end_bytes = transaction.free_space.end_bytes
        for tick, item in puts:
            if item.small_data is None and item.source is None and item.size_bytes is not None:
                # Larger than the whole cache. The old value must not stay in its place.
                if item.key is not None:
                    transaction.remove_entry(item.key)
                continue
            blob_id, counted = self._place(transaction, item, placed)
            if item.links:
                transaction.link(blob_id, self._linked(transaction, item))
            if item.key is None:
                transaction.pin(blob_id)
            else:
                transaction.set_entry(
                    item.key,
                    blob_id,
                    now_unix_ns,
                    tick,
                    item.note,
                    counted=counted,
                    refresh=keeps_order,
                )
        transaction.unpin()
        if self._max_bytes is not None:
            transaction.evict(self._max_bytes, first_tick)
        placed.journal.note_dropped(transaction.dropped_files)
        if placed.extents:
            self._packed.write(placed.extents)
        if self._durable and placed.files:
            self._files.sync_folders(placed.files)

    def _linked(self, transaction: Transaction, item: StagedPut) -> Iterator[int]:
        transaction.know(digest.raw for digest in item.links)
        for digest in item.links:
            row = transaction.blob(digest.raw)
            if row is None:
                raise self._missing(item, digest.hex)
            yield row.blob_id

    def _missing(self, item: StagedPut, digest: str) -> MissingLinkError:
        return MissingLinkError(
            f"the entry {item.key!r} needs the contents {digest}, which the store at "
            f"{self._folder} does not have; put them in the same commit"
        )

    def _place(
        self, transaction: Transaction, item: StagedPut, placed: _Placed
    ) -> tuple[int, bool]:
        """Have the contents in the store; the id of their row, and whether it counts this use."""
        row = transaction.blob(item.digest)
        if item.size_bytes is None:
            if row is None:
                raise self._missing(item, item.digest.hex())
            return row.blob_id, False
        if row is None:
            data, offset = self._put_down(transaction, item, item.size_bytes, placed)
            blob_id = transaction.add_blob(
                item.digest,
                item.size_bytes,
                data=data,
                packed_offset_bytes=offset,
                uses=0 if item.key is None else 1,
                synced=self._durable,
            )
            return blob_id, item.key is not None
        if row.size_bytes != item.size_bytes:
            raise DigestConflictError(
                f"the digest {item.digest.hex()} was given for {item.size_bytes} bytes, but the "
                f"store at {self._folder} keeps {row.size_bytes} bytes under it; hash them again"
            )
        if row.is_damaged or not self._is_all_there(row, item, placed):
            data, offset = self._put_down(transaction, item, item.size_bytes, placed)
            transaction.renew_blob(
                item.digest, row, data=data, packed_offset_bytes=offset, synced=self._durable
            )
        elif self._durable and not row.is_synced:
            self._sync(row, item, placed)
            transaction.mark_synced(item.digest)
        return row.blob_id, False

    def _is_all_there(self, row: BlobRow, item: StagedPut, placed: _Placed) -> bool:
        """Whether as many bytes are there as should be."""
        if row.packed_offset_bytes is not None:
            if placed.packed_size_bytes is None:
                placed.packed_size_bytes = self._packed.size_bytes()
            end_bytes = row.packed_offset_bytes + row.size_bytes
            # What this transaction puts down is not in the file yet.
            return end_bytes <= max(placed.packed_size_bytes, placed.end_bytes)
        if item.source is not None:
            return self._files.size_bytes(item.digest) == item.size_bytes
        return True

    def _put_down(
        self, transaction: Transaction, item: StagedPut, size_bytes: int, placed: _Placed
    ) -> tuple[bytes | None, int | None]:
        """Write the contents; the data for the row, or the offset in the packed file."""
        if item.small_data is None:
            self._publish(item, placed)
            return None, None
        data = _gathered(item.small_data)
        if size_bytes <= CATALOGUE_MAX_BYTES:
            return bytes(data), None
        offset = transaction.free_space.allocate(size_bytes)
        placed.extents.append((offset, data))
        placed.end_bytes = max(placed.end_bytes, offset + size_bytes)
        return None, offset

    def _sync(self, row: BlobRow, item: StagedPut, placed: _Placed) -> None:
        """Put on the medium what a writer wrote without doing so."""
        if row.packed_offset_bytes is not None:
            self._packed.sync()
        elif item.source is not None:
            self._files.sync_file(item.digest)
            placed.files.append(item.digest)

    def _publish(self, item: StagedPut, placed: _Placed) -> None:
        if item.temporary is None:
            # The file was there when the put was staged, and was removed since: rare.
            if item.source is None:
                raise BackendError(f"nothing was staged for the entry {item.key!r}")
            item.temporary = self._files.write_temporary(_slices(item.source))
            placed.journal.note((item.digest,))
        self._files.publish(item.temporary, item.digest)
        item.temporary = None
        placed.files.append(item.digest)

    def delete(self, key: bytes) -> bool:
        """Forget `key`; whether there was an entry."""
        journal = Journal(self._folder)
        with self._catalogue.writing() as transaction:
            existed = transaction.remove_entry(key)
            journal.note_dropped(transaction.dropped_files)
        self.remove_unused_files(transaction.dropped_files, journal)
        return existed

    def rename(self, key: bytes, new_key: bytes, *, replace: bool) -> bool:
        """Let `new_key` name what `key` named; whether there was an entry.

        Raises:
            EntryExistsError: There is one of `new_key`, and not `replace`.
        """
        journal = Journal(self._folder)
        with self._catalogue.writing() as transaction:
            existed = rename_entry(transaction, key, new_key, replace=replace)
            journal.note_dropped(transaction.dropped_files)
        self.remove_unused_files(transaction.dropped_files, journal)
        return existed

    def touch(self, keys: list[bytes]) -> None:
        """Tell the catalogue what was read. Best effort: it never waits, and never raises."""
        with suppress(BackendError), self._catalogue.writing(wait=False) as transaction:
            transaction.touch(keys)

    def mark_damaged(self, digest: bytes) -> None:
        """Let the next put of these contents write them again. Best effort, like `touch`."""
        with suppress(BackendError), self._catalogue.writing() as transaction:
            transaction.mark_damaged(digest)

    def remove_unused_files(self, digests: list[bytes], journal: Journal) -> None:
        """Remove those of the files that no row names, and the notes about them.

        Best effort, for what is asked of it is already done: a collection gets what stays.
        """
        if digests:
            with suppress(BackendError), self._catalogue.writing() as transaction:
                for digest in digests:
                    if transaction.blob(digest) is None:
                        self._files.remove(digest)
                journal.discard()
        else:
            journal.discard()


def _taken_over(key: bytes | None, put: Put, file: GivenFile) -> StagedPut:
    """What `stage` makes of contents that lie in a file of the store already."""
    if put.digest is None:
        raise TypeError("a file that the store takes over needs a digest")
    note = noted(key, put.digest.raw, put.note)
    item = StagedPut(key, put.digest.raw, file.size_bytes, note, put.links)
    item.source = Slices(file.size_bytes, lambda: iter((Path(file.path).read_bytes(),)))
    item.temporary = file.path
    return item


def _slices(source: memoryview | Slices) -> Iterator[memoryview]:
    if isinstance(source, Slices):
        return map(flat_view, source.read())
    return iter((source,))


def _gathered(source: memoryview | Slices) -> memoryview | bytes:
    """Small contents in one piece."""
    if isinstance(source, Slices):
        return b"".join(_slices(source))
    return source
