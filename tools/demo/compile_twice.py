"""Stage 5: two processes compile one function; the second finds the first one's results."""

import functools
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torchstash.cache import SampleSummary, read_samples, summarize_samples
from torchstash.tools.demo.compiled_function import BATCHES, inputs, mean_entropy
from torchstash.tools.demo.errors import DemoError
from torchstash.tools.demo.stopwatch import Stopwatch

_WORKER = "torchstash.tools.demo.compile_worker"


@dataclass(frozen=True)
class CompileRun:
    """What one process did. All that it knew beforehand came from the shared cache."""

    # By cache, from the samples that the process logged.
    summaries: Mapping[str, SampleSummary]
    # Compiling and running, without the start of the process.
    compile_seconds: float
    # The whole process.
    seconds: float
    # The file of its samples.
    samples: Path


@dataclass(frozen=True)
class CompiledTwice:
    """What both processes did; their results were those of the function itself."""

    first: CompileRun
    second: CompileRun
    # Why Inductor was left out; None where it compiled.
    problem: str | None
    # The folder of the cache.
    cache: Path


def compile_twice(folder: Path, advance: Callable[[], None]) -> CompiledTwice:
    """Runs both processes; the cache, samples and each compiler's own files go into `folder`.

    Where Inductor finds no working C++ compiler, the tracer alone runs ("aot_eager"): what it
    learns about changing sizes goes through the cache all the same.

    Raises:
        DemoError: A process failed, gave a wrong result, or found nothing in the cache.
    """
    compiler, problem = "inductor", None
    first, outcome = _run(folder, "first_process", compiler)
    if outcome["problem"] is not None:
        compiler, problem = "aot_eager", outcome["problem"]
        shutil.rmtree(folder)
        first, outcome = _run(folder, "first_process", compiler)
    _require_right(outcome["outputs"])
    advance()
    second, outcome = _run(folder, "second_process", compiler)
    _require_right(outcome["outputs"])
    advance()
    if not any(summary.hits for summary in second.summaries.values()):
        raise DemoError(f"the second process found nothing in the cache; see {second.samples}")
    return CompiledTwice(first, second, problem, _cache(folder))


def _cache(folder: Path) -> Path:
    return folder / "cache"


def _run(folder: Path, process: str, compiler: str) -> tuple[CompileRun, Any]:
    own = folder / "inductor" / process
    samples = folder / "samples" / f"{process}.binpb"
    own.mkdir(parents=True)
    samples.parent.mkdir(exist_ok=True)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "TORCHINDUCTOR_CACHE_DIR": str(own),
    }
    command = [sys.executable, "-P", "-m", _WORKER, str(_cache(folder)), str(samples), compiler]
    watch = Stopwatch()
    with watch.running():
        done = subprocess.run(  # noqa: S603 - our own module
            command, capture_output=True, check=False, env=environment, text=True
        )
    if done.returncode != 0:
        raise DemoError(f"{process} ended with status {done.returncode}:\n{done.stderr[-4000:]}")
    outcome = json.loads(done.stdout)
    summaries = summarize_samples(read_samples(samples))
    return CompileRun(summaries, outcome["seconds"], watch.seconds, samples), outcome


def _require_right(outputs: Sequence[float]) -> None:
    expected = [mean_entropy(*inputs(batch)).item() for batch in BATCHES]
    if not all(map(functools.partial(math.isclose, rel_tol=1e-4), outputs, expected)):
        raise DemoError(f"the compiled function gave {outputs}; uncompiled it gives {expected}")
