"""What looking after a store has to tell."""

from dataclasses import dataclass
from pathlib import Path

from torchstash.content_store.maintenance.problem import Problem


@dataclass(frozen=True, slots=True)
class GarbageReport:
    """What a collection of garbage removed, or would remove in a dry run."""

    # Parts of sharded checkpoints that were never finished; what they kept went with them, and is
    # in none of the other numbers.
    checkpoint_parts: int
    # Contents that pulls had fetched and no name leads to; in none of the other numbers either.
    pulled_contents: int
    # Files of contents that nothing leads to.
    orphan_files: int
    # Files that a writer died over before it published them.
    temporary_files: int
    freed_bytes: int


@dataclass(frozen=True, slots=True)
class StoreQuota:
    """What the contents of a store take, each counted once, and what they may."""

    used_bytes: int
    # None: as much as fits on the medium.
    quota_bytes: int | None


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What a repair found."""

    # It is put right: nothing was lost.
    repaired: tuple[Problem, ...]
    # What only writing again, or a copy of the store, can put right.
    lost: tuple[Problem, ...]

    @property
    def tensors_to_write_again(self) -> tuple[str, ...]:
        """The tensors that cannot be read, in order."""
        return tuple(sorted({name for problem in self.lost for name in problem.tensors}))

    @property
    def snapshots_to_write_again(self) -> tuple[str, ...]:
        """The state dicts that cannot be read, in order."""
        return tuple(sorted({name for problem in self.lost for name in problem.snapshots}))


@dataclass(frozen=True, slots=True)
class SalvageReport:
    """What came back of a store whose catalogue was damaged, and what did not."""

    tensors: int
    snapshots: int
    # Names that could be read, and whose contents are gone or in doubt: to write again.
    lost_tensors: tuple[str, ...]
    lost_snapshots: tuple[str, ...]
    # Contents that have lost their names, by digest: `read_storage` reads them.
    nameless_storages: tuple[str, ...]
    # Pages of the catalogue that could not be read, or not in full: names may have been there of
    # which nobody knows.
    damaged_pages: int
    # The damaged catalogue. Nothing removes it.
    kept_aside: Path
