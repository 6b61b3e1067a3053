"""Runs the comparisons of a benchmark one after another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic

from rich.console import Console

from torchstash.tools.bench.contestant import Contestant, Work
from torchstash.tools.bench.errors import UsageError
from torchstash.tools.bench.measure import Effort, measure
from torchstash.tools.bench.progress import bench_progress
from torchstash.tools.bench.result import Case, Result


@dataclass(frozen=True)
class Heat(Generic[Work]):
    """Contestants that meet in one case: a column of a section of the report."""

    # Title of the section.
    section: str
    case: Case
    contestants: Sequence[Contestant[Work]]
    # Made when its turn comes, and let go afterwards.
    make_work: Callable[[], Work]


def run_heats(
    heats: Sequence[Heat[Work]], *, only: Sequence[str], effort: Effort, console: Console
) -> dict[str, list[Result]]:
    """Results by section, in the order of the heats.

    Args:
        heats: Those in which nobody takes part are passed over.
        only: Parts of the names of those who take part, in either case; all do where it is empty.
        effort: How much is spent on each contestant in each case.
        console: Where the progress bar is drawn.

    Raises:
        UsageError: Nobody is called anything like `only`.
    """
    chosen = [(heat, _chosen(heat.contestants, only)) for heat in heats]
    chosen = [(heat, contestants) for heat, contestants in chosen if contestants]
    if not chosen:
        names = dict.fromkeys(each.name for heat in heats for each in heat.contestants)
        raise UsageError(
            f"no contestant is called like {', '.join(only)}; there are: {'; '.join(names)}"
        )
    results: dict[str, list[Result]] = {}
    samples = effort.rounds * sum(len(contestants) for _, contestants in chosen)
    with bench_progress(console, samples) as progress:
        for heat, contestants in chosen:
            advance = progress.case(heat.case.name)
            measured = measure(heat.case, contestants, heat.make_work(), effort, advance=advance)
            results.setdefault(heat.section, []).extend(measured)
    return results


def _chosen(contestants: Sequence[Contestant[Work]], only: Sequence[str]) -> list[Contestant[Work]]:
    return [
        contestant
        for contestant in contestants
        if not only or any(text.lower() in contestant.name.lower() for text in only)
    ]
