"""Says how far the demo is: a moving bar on a terminal, a line for each stage anywhere else."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class StageProgress:
    """Shows stages that run one after another."""

    def __init__(self, console: Console, stages: int) -> None:
        self._console = console
        self._stages = stages
        self._begun = 0

    @contextlib.contextmanager
    def stage(self, title: str, pieces: int) -> Iterator[Callable[[], None]]:
        """One stage. Gives what is to be called after each of its pieces."""
        self._begun += 1
        heading = f"[{self._begun}/{self._stages}] {title}"
        if not self._console.is_terminal:
            self._console.print(heading, markup=False, highlight=False)
            yield lambda: None
            return
        bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
        )
        with bar:
            task = bar.add_task(heading, total=pieces)
            yield lambda: bar.advance(task)

    def say(self, text: str) -> None:
        """A remark between stages."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
