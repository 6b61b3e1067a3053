"""Stage 4: a traced graph names its inputs, and reads them from the store when it runs."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional

from torchstash.prims import load_tensor, load_tensor_reader
from torchstash.tools.demo.errors import DemoError
from torchstash.tools.demo.snapshots import Snapshot, name_of
from torchstash.tools.demo.stopwatch import Stopwatch


@dataclass(frozen=True)
class TracedGraph:
    """A graph without parameters that gave what the network had given."""

    code: str
    seconds: float


def run_traced_graph(
    store: Path, step: int, snapshot: Snapshot, advance: Callable[[], None]
) -> TracedGraph:
    """Classifies the step's features again, from nothing but names.

    Raises:
        DemoError: The logits are not those of the snapshot.
    """

    def load(*parts: str) -> torch.Tensor:
        name = name_of(step, *parts)
        like = snapshot[name]
        return load_tensor(name, like.shape, like.stride(), dtype=like.dtype, device=like.device)

    def classify() -> torch.Tensor:
        features = load("activations", "features").flatten(1)
        return functional.linear(features, load("state", "head.weight"), load("state", "head.bias"))

    watch = Stopwatch()
    with watch.running():
        # Fake tensors: nothing is read while the graph is made.
        graph = make_fx(classify, tracing_mode="fake")()
        with load_tensor_reader(store):
            logits = graph()
    expected = snapshot[name_of(step, "activations", "logits")]
    if not torch.allclose(logits, expected):
        worst = (logits - expected).abs().max().item()
        raise DemoError(f"the traced graph's logits differ from those written by up to {worst}")
    advance()
    return TracedGraph(_shortened(graph.code), watch.seconds)


def _shortened(code: str) -> str:
    """The graph as Python, without what makes it long: releases of memory, overloads, devices."""
    for long, short in (
        (r";  [\w = ]+ = None", ""),
        (r"torch\.ops\.(\w+\.\w+)\.default", r"\1"),
        (r", dtype = \S+, device = device\([^)]*\)", ", ..."),
    ):
        code = re.sub(long, short, code)
    return code.strip()
