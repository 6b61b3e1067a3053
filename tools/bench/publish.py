"""Runs a benchmark, and hands its outcome to the terminal and to the files that were asked for."""

import argparse
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from torchstash.tools.bench.measure import Effort
from torchstash.tools.bench.outcome import Outcome
from torchstash.tools.bench.plot import require_matplotlib, write_plot
from torchstash.tools.bench.program import exit_status
from torchstash.tools.bench.report import print_report
from torchstash.tools.bench.results_json import write_json

# Tables of a log are as wide as they need.
_LOG_WIDTH = 200


@dataclass(frozen=True)
class Picture:
    """What of an outcome is plotted."""

    # Title of a section.
    section: str
    title: str
    # Name of the contestant that stands out.
    ours: str


def run_and_publish(
    benchmark: str, arguments: argparse.Namespace, run: Callable[..., Outcome], picture: Picture
) -> int:
    """Runs a benchmark as its command line says; gives the exit status.

    Args:
        benchmark: Its name, for messages.
        arguments: With those of `bench_parser`.
        run: Called with `only`, `effort` and `console`.
        picture: What is plotted.
    """

    def run_it() -> None:
        if arguments.plot is not None:
            require_matplotlib()
        outcome = run(
            only=arguments.only or (),
            effort=Effort(budget_seconds=arguments.budget),
            console=Console(stderr=True),
        )
        publish(outcome, json_path=arguments.json, plot_path=arguments.plot, picture=picture)

    return exit_status(benchmark, run_it)


def run_in_folder_and_publish(
    benchmark: str, arguments: argparse.Namespace, run: Callable[..., Outcome], picture: Picture
) -> int:
    """`run_and_publish`, with a new `folder` for `run` where `add_folder` let the user say."""
    # `bazel run` starts programs elsewhere, and says where the user stands.
    inside = Path(os.environ.get("BUILD_WORKING_DIRECTORY", "."), arguments.folder).absolute()

    def run_in_folder(**common: object) -> Outcome:
        with tempfile.TemporaryDirectory(dir=inside) as folder:
            return run(folder=Path(folder), **common)

    return run_and_publish(benchmark, arguments, run_in_folder, picture)


def publish(
    outcome: Outcome, *, json_path: Path | None, plot_path: Path | None, picture: Picture
) -> None:
    """Writes the report to standard output, and a file for each path.

    Raises:
        OSError: A file cannot be written.
        UnavailableError: The picture cannot be drawn.
    """
    console = Console()
    print_report(console if console.is_terminal else Console(width=_LOG_WIDTH), outcome)
    if json_path is not None:
        write_json(json_path, outcome)
    for section in outcome.sections:
        if plot_path is not None and section.title == picture.section:
            subtitle = outcome.environment.describe()
            write_plot(
                plot_path, section, title=picture.title, subtitle=subtitle, ours=picture.ours
            )
