"""Says on a terminal how far a benchmark is; elsewhere nothing."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class BenchProgress:
    """One bar over all samples of all cases."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def case(self, name: str) -> Callable[[int], None]:
        """Says which case comes; gives what is to be told about samples that are done."""
        self._progress.update(self._task, description=name)
        return lambda samples: self._progress.advance(self._task, samples)


@contextlib.contextmanager
def bench_progress(console: Console, samples: int) -> Iterator[BenchProgress]:
    """Shows the bar until the block ends; afterwards the terminal is as it was."""
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
        # Drawn seldom: it takes time from whom it is measured with.
        refresh_per_second=2,
        transient=True,
    )
    with bar:
        yield BenchProgress(bar, bar.add_task("", total=samples))
