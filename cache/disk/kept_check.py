"""Whether a store has already what a commit would write, so that there need be none."""

from collections.abc import Sequence
from pathlib import Path

from torchstash.cache.disk.blob_files import BlobFiles
from torchstash.cache.disk.catalogue import Catalogue, EntryRow
from torchstash.cache.disk.error_mapping import backend_error
from torchstash.cache.disk.packed_file import PackedFile
from torchstash.cache.disk.staged_put import StagedPut


class KeptCheck:
    """The check for one store: it looks at the catalogue, and at the sizes of files.

    Args:
        folder: That of the store.
        catalogue: What the store knows.
        files: Where large contents lie.
        packed: Where small ones do.
        durable: They have to be on the medium.
    """

    def __init__(
        self,
        folder: Path,
        catalogue: Catalogue,
        files: BlobFiles,
        packed: PackedFile,
        *,
        durable: bool,
    ) -> None:
        self._folder = folder
        self._catalogue = catalogue
        self._files = files
        self._packed = packed
        self._durable = durable

    def keeps(self, staged: Sequence[StagedPut]) -> bool:
        """Whether all of it is there, with these names and notes, at one instant.

        What is new costs one look-up: the last put, which has a name in most commits, is asked for
        alone.

        Raises:
            BackendError: The catalogue or a file cannot be looked at.
        """
        last = staged[-1]
        if last.key is None or not self._is_kept(last, self._catalogue.lookup(last.key)):
            return False
        if len(staged) == 1:
            return True
        named = {item.key: item for item in staged if item.key is not None}
        unnamed = [item for item in staged if item.key is None]
        # Names first: what they lead to is there while they are, and is looked at for damage.
        return self._are_kept(
            list(named.values()), self._catalogue.lookup_all(named)
        ) and self._are_kept(
            unnamed, self._catalogue.lookup_digests(item.digest for item in unnamed)
        )

    def _are_kept(self, items: Sequence[StagedPut], rows: Sequence[EntryRow | None]) -> bool:
        packed_size_bytes = None
        for item, row in zip(items, rows, strict=True):
            if row is None:
                return False
            if row.packed_offset_bytes is not None and packed_size_bytes is None:
                # Asked once. Where others cut the file off now, its contents are nobody's any more.
                packed_size_bytes = self._packed_size_bytes()
            if not self._is_kept(item, row, packed_size_bytes):
                return False
        return True

    def _packed_size_bytes(self) -> int:
        try:
            return self._packed.size_bytes()
        except OSError as error:
            raise backend_error(self._folder, error) from error

    def _is_kept(
        self, item: StagedPut, row: EntryRow | None, packed_size_bytes: int | None = None
    ) -> bool:
        return (
            row is not None
            and item.temporary is None
            and row.digest == item.digest
            and (item.size_bytes is None or row.size_bytes == item.size_bytes)
            and (row.note, row.crc32) == item.note
            and not row.is_damaged
            and (row.is_synced or not self._durable)
            and self.is_all_there(row, packed_size_bytes)
        )

    def is_all_there(self, row: EntryRow, packed_size_bytes: int | None = None) -> bool:
        """Whether as many bytes are there as should be.

        Args:
            row: What the catalogue says of them.
            packed_size_bytes: How long the packed file is, from who knows it.

        Raises:
            BackendError: A file cannot be looked at.
        """
        if row.data is not None:
            return True
        if row.packed_offset_bytes is not None:
            if packed_size_bytes is None:
                packed_size_bytes = self._packed_size_bytes()
            return row.packed_offset_bytes + row.size_bytes <= packed_size_bytes
        try:
            return self._files.size_bytes(row.digest) == row.size_bytes
        except OSError as error:
            raise backend_error(self._folder, error) from error
