"""A put whose contents are hashed, and on the disk where they go into a file."""

from collections.abc import Sequence
from dataclasses import dataclass

from torchstash.cache.digest import Digest
from torchstash.cache.disk.entry_check import Note
from torchstash.cache.disk.put import Slices


@dataclass(slots=True)
class StagedPut:
    """What a commit needs of one `Put`."""

    # None: only links lead there.
    key: bytes | None
    digest: bytes
    # None: whatever is kept under the digest.
    size_bytes: int | None
    note: Note
    links: Sequence[Digest]
    # The contents, where they go into the catalogue or the packed file.
    small_data: memoryview | Slices | None = None
    # Where the contents come from, where they go into a file of their own.
    source: memoryview | Slices | None = None
    # The file under `tmp` that has them. None: they seemed to be in the store already.
    temporary: str | None = None
