"""How far a transfer is: a bar on a terminal, and nothing anywhere else."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from torchstash.content_store.movement import Progress as HowFar


@contextmanager
def transfer_bar(
    title: str, console: Console | None = None
) -> Iterator[Callable[[HowFar], None] | None]:
    """Gives what a transfer is to call, or None where nobody looks. Writes to standard error."""
    console = Console(stderr=True) if console is None else console
    if not console.is_terminal:
        yield None
        return
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[names]} names", markup=False),
        console=console,
    )
    with bar:
        task = bar.add_task(title, total=None, names="0")

        def show(how_far: HowFar) -> None:
            bar.update(
                task,
                completed=how_far.moved_bytes,
                # What is missing is found out on the way, until the last name was looked at.
                total=how_far.missing_bytes,
                names=f"{how_far.names}/{how_far.names_total}",
            )

        yield show
