"""Many puts in one transaction, prepared by many threads."""

from collections.abc import Iterable
from types import TracebackType
from typing import Self

from torchstash.cache.disk.committer import Committer
from torchstash.cache.disk.kept_check import KeptCheck
from torchstash.cache.disk.put import Put
from torchstash.cache.disk.recent_reads import RecentReads
from torchstash.cache.disk.staged_put import StagedPut


class Batch:
    """A context manager: what was added is kept, all of it, when the block ends.

    Where the block or the commit raises, nothing is. `add` may be called by any number of threads,
    all of which must be done when the block ends; large contents are on the disk when it returns.
    """

    def __init__(self, committer: Committer, kept: KeptCheck, recent_reads: RecentReads) -> None:
        self._committer = committer
        self._kept = kept
        self._recent_reads = recent_reads
        self._staged: list[StagedPut] = []

    def add(self, put: Put) -> None:
        """Take a put. Its buffer must stay unchanged until the block has ended."""
        self._committer.stage(put, self._staged)

    def add_small(self, puts: Iterable[tuple[str, bytes, memoryview, bytes]]) -> None:
        """`add` for many small contents, each with its key, digest, contents and note."""
        self._committer.stage_small(puts, self._staged)

    def drop_if_kept(self) -> None:
        """Commit nothing where the store has it all already, every name with these contents.

        What was added before still counts as kept; nothing may be added afterwards.
        """
        if self._staged and self._kept.keeps(self._staged):
            self._committer.discard(self._staged)
            self._staged.clear()

    def __len__(self) -> int:
        return len(self._staged)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc is not None:
            self._committer.discard(self._staged)
        elif self._staged:
            self._committer.commit(self._staged, self._recent_reads.take())
