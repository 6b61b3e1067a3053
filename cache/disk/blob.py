"""Contents as the disk backend keeps them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from torchstash.cache.digest import Digest
from torchstash.cache.disk.packed_file import PackedFile


class Extent(NamedTuple):
    """A run of bytes in the packed file."""

    file: PackedFile
    offset_bytes: int


def read_extents(wanted: Sequence[tuple[Extent, memoryview]]) -> None:
    """Fill each target with what its extent has; neighbours in the file by one call.

    Nothing is checked: a target stays as it was where the file, being damaged, ends before it.

    Raises:
        OSError: The packed file cannot be read.
    """
    by_file: dict[PackedFile, list[tuple[int, memoryview]]] = {}
    for (file, offset_bytes), target in wanted:
        by_file.setdefault(file, []).append((offset_bytes, target))
    for file, extents in by_file.items():
        file.read_many(extents)


class Blob(NamedTuple):
    """Where contents lie: in the catalogue, in the packed file, or in an immutable file.

    Exactly one of `data`, `extent` and `file` is set. Nothing was checked: a reader compares the
    size of the file, and the digest of what it read. Where another process deletes or replaces
    the entry the file can be gone, and the extent can hold something else: look the key up again.
    """

    digest: Digest
    size_bytes: int
    data: bytes | None
    extent: Extent | None
    # As text: a Path costs more to make than the file to look at.
    file: str | None
    # What the entry says beside naming the contents.
    note: bytes | None = None

    @property
    def path(self) -> Path | None:
        """The file of large contents."""
        return None if self.file is None else Path(self.file)

    def small_contents(self) -> bytes | None:
        """The contents, unchecked, or what is left of them; None where `path` has them.

        Raises:
            OSError: The packed file cannot be read.
        """
        if self.extent is not None:
            return self.extent.file.read(self.extent.offset_bytes, self.size_bytes)
        return self.data
