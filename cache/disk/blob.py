"""Contents as the disk backend keeps them."""

from dataclasses import dataclass
from pathlib import Path

from torchstash.cache.digest import Digest


@dataclass(frozen=True, slots=True)
class Blob:
    """Where contents lie: in the catalogue (`data`) or in an immutable file (`path`).

    Exactly one of `data` and `path` is set. Nothing was checked: a reader compares the size of
    the file, and the digest of what it read. Where another process deletes or replaces the entry
    the file can be gone: look the key up again.
    """

    digest: Digest
    size_bytes: int
    data: bytes | None
    path: Path | None
