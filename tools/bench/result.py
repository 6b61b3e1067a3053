"""What was measured of one contestant in one case."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """A piece of work that contestants are compared in: a column of the report."""

    name: str
    # That one call works through.
    size_bytes: int
    # Operations in one call: storages of a batch, keys of a multi-get.
    operations: int = 1


@dataclass(frozen=True)
class Result:
    """The times of one contestant in one case, or why there are none."""

    contestant: str
    # By PyTorch's name: "cpu", "cuda".
    device: str
    case: Case
    # Of one call; each is the mean of a sample's calls.
    seconds: Sequence[float] = ()
    calls_per_sample: int = 0
    # A limit of the machine, not a competitor.
    is_ceiling: bool = False
    # Why there are no times; None where there are.
    problem: str | None = None

    @property
    def median_seconds(self) -> float | None:
        """Of one call; None where there is a problem."""
        return statistics.median(self.seconds) if self.seconds else None

    @property
    def gigabytes_per_second(self) -> float | None:
        """In units of 10^9 bytes; None where there is a problem."""
        seconds = self.median_seconds
        return None if seconds is None else self.case.size_bytes / seconds / 1e9

    @property
    def microseconds_per_operation(self) -> float | None:
        """None where there is a problem."""
        seconds = self.median_seconds
        return None if seconds is None else seconds / self.case.operations * 1e6
