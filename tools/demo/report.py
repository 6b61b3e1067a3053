"""The table at the end of the demo, and where to look further."""

import os
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from torchstash.cache import SampleSummary
from torchstash.tools.demo.compile_twice import CompiledTwice
from torchstash.tools.demo.read_back import ReadBack
from torchstash.tools.demo.snapshots import name_of
from torchstash.tools.demo.traced_graph import TracedGraph
from torchstash.tools.demo.train import FineTuning, Pretraining

_WIDTH = 76


@dataclass(frozen=True)
class Results:
    """What the stages found."""

    # The folder of the content store.
    store: Path
    pretraining: Pretraining
    fine_tuning: FineTuning
    read: ReadBack
    graph: TracedGraph
    compiled: CompiledTwice


def print_report(console: Console, results: Results) -> None:
    """Writes what was found, and where the files lie."""
    console.print()
    console.print(_content_store(results.read))
    console.print(_compile_caches(results.compiled))
    console.print(_times(results))
    for line in _files(results.store, results.compiled):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _table(*titles: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, width=_WIDTH)
    for i, title in enumerate(titles):
        table.add_column(title, justify="right" if i else "left", ratio=None if i else 1)
    return table


def _content_store(read: ReadBack) -> Table:
    totals = read.totals
    table = _table("Content store", "count", "size")
    table.add_row(
        "tensors, each by itself (logical)", f"{totals.tensors}", decimal(totals.logical_bytes)
    )
    table.add_row(
        "storages, each kept once (stored)", f"{totals.storages}", decimal(totals.stored_bytes)
    )
    table.add_row("logical / stored", "", f"{totals.ratio:.1f}x")
    table.add_row("changed from one step to the next", "", f"{read.changed_share:.1%}")
    return table


def _compile_caches(compiled: CompiledTwice) -> Table:
    table = _table("Compile caches", "1st process", "2nd process")
    runs = (compiled.first, compiled.second)
    for name in sorted({name for run in runs for name in run.summaries}):
        table.add_row(name, *(_hits(run.summaries.get(name, SampleSummary())) for run in runs))
    table.add_row("compile, then run", *(f"{run.compile_seconds:.1f} s" for run in runs))
    return table


def _hits(summary: SampleSummary) -> str:
    return f"{_count(summary.hits, 'hit')}, {_count(summary.misses, 'miss')}"


def _count(number: int, word: str) -> str:
    ending = "" if number == 1 else "es" if word.endswith("s") else "s"
    return f"{number} {word}{ending}"


def _times(results: Results) -> Table:
    table = _table("Time", "seconds")
    tuning, compiled = results.fine_tuning, results.compiled
    for work, seconds in (
        ("pre-train", results.pretraining.seconds),
        ("fine-tune", tuning.training_seconds),
        ("write the snapshots", tuning.writing_seconds),
        ("read them back", results.read.seconds),
        ("trace the graph and run it", results.graph.seconds),
        ("compile in the 1st process, its start included", compiled.first.seconds),
        ("compile in the 2nd process, its start included", compiled.second.seconds),
    ):
        table.add_row(work, f"{seconds:.2f}")
    return table


def _files(store: Path, compiled: CompiledTwice) -> Iterator[str]:
    samples = compiled.second.samples
    yield "Files, kept until the next run:"
    yield f"  content store  {store}"
    yield f"  compile cache  {compiled.cache}"
    yield f"  samples        {samples.parent}"
    yield "Look into them:"
    # The command is on no PATH where Bazel runs us.
    bazel = "tools/bazelw run //tools/cli:torchstash --"
    plain = f"{sys.executable} -m torchstash.tools.cli.main"
    torchstash = bazel if "BUILD_WORKSPACE_DIRECTORY" in os.environ else plain
    yield f"  {torchstash} ls {shlex.quote(str(store))} {name_of(1)}/state/"
    yield f"  {torchstash} samples {shlex.quote(str(samples))}"
