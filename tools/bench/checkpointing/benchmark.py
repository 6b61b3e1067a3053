"""Checkpoints on disk, ours next to PyTorch's: saved, saved again, and loaded."""

import functools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from torchstash.tools.bench.checkpointing import contestants
from torchstash.tools.bench.checkpointing.formats import OURS, TORCH
from torchstash.tools.bench.checkpointing.state import State
from torchstash.tools.bench.heats import Heat, run_heats
from torchstash.tools.bench.machine import find_environment
from torchstash.tools.bench.measure import Effort
from torchstash.tools.bench.outcome import Figure, Outcome, Section
from torchstash.tools.bench.result import Case, Result
from torchstash.tools.bench.sizes import format_size

SAVE = "Save"
UNCHANGED = "Save again, unchanged"
CHANGED = "Save with a tenth changed"
LOAD = "Load"

_SECTIONS = {
    SAVE: contestants.saving,
    UNCHANGED: contestants.saving_unchanged,
    CHANGED: contestants.saving_changed,
    LOAD: contestants.loading,
}


def run_benchmark(
    *, sizes: Sequence[int], folder: Path, only: Sequence[str], effort: Effort, console: Console
) -> Outcome:
    """Measures everything; the console shows how far it is.

    Args:
        sizes: Bytes of the state dicts.
        folder: Where the checkpoints are made; on the file system that is to be measured.
        only: Parts of the names of those who take part; all do where it is empty.
        effort: How much is spent on each contestant in each case.
        console: Where the progress bar is drawn.

    Raises:
        UsageError: Nobody is called anything like `only`.
    """
    environment = find_environment(["cpu"], ())
    heats = [
        Heat(
            section,
            Case(format_size(size), size),
            make(),
            functools.partial(State, size, folder),
        )
        for section, make in _SECTIONS.items()
        for size in sizes
    ]
    with warnings.catch_warnings():
        # That there are no ranks, at each call.
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        results = run_heats(heats, only=only, effort=effort, console=console)
    return Outcome(
        benchmark="checkpoint",
        environment=environment,
        sections=[Section(title, "checkpoint", found) for title, found in results.items()],
        figures=list(_figures(results)),
    )


def _figures(results: Mapping[str, Sequence[Result]]) -> Iterator[Figure]:
    """How long ours takes, in PyTorch's times."""
    for section, found in results.items():
        seconds = {(one.case.name, one.contestant): one.median_seconds for one in found}
        for case in dict.fromkeys(one.case.name for one in found):
            ours, torchs = seconds.get((case, OURS)), seconds.get((case, TORCH))
            if ours is not None and torchs is not None:
                yield Figure(f"{section}, {case}: ours / torch's", ours / torchs, at_most=1.0)
