"""The stages of the demo, in their order."""

import textwrap
from pathlib import Path

from rich.console import Console

from torchstash.tools.demo.compile_twice import compile_twice
from torchstash.tools.demo.progress import StageProgress
from torchstash.tools.demo.read_back import read_back
from torchstash.tools.demo.report import Results
from torchstash.tools.demo.traced_graph import run_traced_graph
from torchstash.tools.demo.train import fine_tune, pretrain

_PRETRAINING_EPOCHS = 3


def run_stages(folder: Path, steps: int, console: Console) -> Results:
    """Runs every stage; its files go into `folder`.

    Raises:
        DemoError: Something came back wrong.
    """
    progress = StageProgress(console, stages=5)
    store = folder / "store"
    with progress.stage("Pre-train a network on unlabelled digits", _PRETRAINING_EPOCHS) as advance:
        pretrained = pretrain(_PRETRAINING_EPOCHS, advance)
    with progress.stage("Fine-tune its head, snapshot every step", steps) as advance:
        tuned = fine_tune(pretrained, store, steps, advance)
    progress.say(
        "      The rest of the network is frozen, as in a linear probe: its weights and features\n"
        "      stay the same and are stored once. The digits of the test set are told with "
        f"{tuned.accuracy:.0%} accuracy."
    )
    with progress.stage("Read everything back, compare bit by bit", steps) as advance:
        read = read_back(store, tuned.snapshots, advance)
    with progress.stage("Trace a graph that loads its inputs by name", 1) as advance:
        graph = run_traced_graph(store, steps, tuned.snapshots[-1], advance)
    progress.say(textwrap.indent(graph.code, "      "))
    with progress.stage("Compile one function in two processes", 2) as advance:
        compiled = compile_twice(folder / "compile", advance)
    if compiled.problem is not None:
        progress.say(
            f"      Traced only, for Inductor finds no C++ compiler that works: {compiled.problem}"
        )
    return Results(store, pretrained, tuned, read, graph, compiled)
