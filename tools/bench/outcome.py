"""All that a benchmark found: what its table, its JSON file and its plot are made of."""

from collections.abc import Sequence
from dataclasses import dataclass

from torchstash.tools.bench.environment import Environment
from torchstash.tools.bench.result import Result


@dataclass(frozen=True)
class Section:
    """Contestants that were compared in the same cases: a table."""

    title: str
    # What one operation of a case is: "call", "storage", "key".
    operation: str
    results: Sequence[Result]
    # Whether bytes per second say anything: not of a call that moves none.
    has_throughput: bool = True


@dataclass(frozen=True)
class Figure:
    """A number that the benchmark is run for, with the goal that we set ourselves."""

    name: str
    value: float
    # "x" for ratios, "us", "GB/s".
    unit: str = "x"
    at_least: float | None = None
    at_most: float | None = None

    @property
    def is_reached(self) -> bool | None:
        """None where there is no goal."""
        if self.at_least is not None:
            return self.value >= self.at_least
        if self.at_most is not None:
            return self.value <= self.at_most
        return None


@dataclass(frozen=True)
class Outcome:
    """What one run of a benchmark found."""

    # By its target's name: "hash".
    benchmark: str
    environment: Environment
    sections: Sequence[Section]
    figures: Sequence[Figure]
