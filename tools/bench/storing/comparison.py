"""A section of the report: its heats, and the figures that are read off its results."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from torchstash.tools.bench.heats import Heat
from torchstash.tools.bench.outcome import Figure
from torchstash.tools.bench.result import Case, Result
from torchstash.tools.bench.storing.keeper import Keeper
from torchstash.tools.bench.storing.trials import Prepare, contestant
from torchstash.tools.bench.storing.workload import MakeWork, Workload


@dataclass(frozen=True)
class Goal:
    """What a row is to take at most: us per operation, or so many times what another row takes."""

    row: str
    case: str
    # None: told, and not judged.
    at_most: float | None
    # None: microseconds.
    of_row: str | None = None
    of_case: str | None = None


@dataclass(frozen=True)
class Comparison:
    """Keepers that meet in the same cases, each over the same work."""

    title: str
    # What one operation of a case is.
    operation: str
    cases: Mapping[str, Prepare]
    keepers: Sequence[Keeper]
    make_work: MakeWork
    size_bytes: int
    operations: int = 1
    goals: Sequence[Goal] = ()

    def heats(self) -> Iterator[Heat[Workload]]:
        """One for each case."""
        for name, prepare in self.cases.items():
            yield Heat(
                self.title,
                Case(name, self.size_bytes, self.operations),
                [contestant(keeper, prepare) for keeper in self.keepers],
                self.make_work,
            )

    def figures(self, results: Iterable[Result]) -> Iterator[Figure]:
        """Those of the goals for which there are times."""
        by_place = {(each.contestant, each.case.name): each for each in results if each.seconds}
        for goal in self.goals:
            own = by_place.get((goal.row, goal.case))
            if own is None:
                continue
            name = f"{self.title}, {goal.case}: {goal.row}"
            if goal.of_row is None:
                value = own.microseconds_per_operation
                if value is not None:
                    yield Figure(name, value, "us", at_most=goal.at_most)
                continue
            peer = by_place.get((goal.of_row, goal.of_case or goal.case))
            if peer is not None and own.median_seconds and peer.median_seconds:
                yield Figure(
                    f"{name} / {goal.of_row}{f', {goal.of_case}' if goal.of_case else ''}, time",
                    own.median_seconds / peer.median_seconds,
                    at_most=goal.at_most,
                )
