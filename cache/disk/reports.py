"""What the disk backend tells about itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What a collection of garbage removed, or would remove in a dry run."""

    # Content files that no entry refers to: a writer died between publishing and committing.
    orphan_files: int
    # Files that a writer died over before it published them.
    temporary_files: int
    freed_bytes: int


@dataclass(frozen=True, slots=True)
class Quota:
    """What contents take, each counted once, and what they may."""

    used_bytes: int
    # None: as much as fits on the medium.
    quota_bytes: int | None


@dataclass(frozen=True, slots=True)
class DiskStats:
    """What a store holds."""

    entries: int
    # The sum over entries: contents count once for each key that names them.
    logical_bytes: int
    # The sum over contents: each counts once. Catalogue overhead is not in it.
    stored_bytes: int
