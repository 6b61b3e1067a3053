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
        return all(map(self._is_kept, items, rows))

    def _is_kept(self, item: StagedPut, row: EntryRow | None) -> bool:
        return (
            row is not None
            and item.temporary is None
            and row.digest == item.digest
            and (item.size_bytes is None or row.size_bytes == item.size_bytes)
            and (row.note, row.crc32) == item.note
            and not row.is_damaged
            and (row.is_synced or not self._durable)
            and self.is_all_there(row)
        )

    def is_all_there(self, row: EntryRow) -> bool:
        """Whether as many bytes are there as should be.

        Raises:
            BackendError: A file cannot be looked at.
        """
        if row.data is not None:
            return True
        try:
            if row.packed_offset_bytes is not None:
                return row.packed_offset_bytes + row.size_bytes <= self._packed.size_bytes()
            return self._files.size_bytes(row.digest) == row.size_bytes
        except OSError as error:
            raise backend_error(self._folder, error) from error
