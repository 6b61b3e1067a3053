"""Everything that keeps tensors, ours among them, in one run."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from torchstash.tools.bench.heats import run_heats
from torchstash.tools.bench.machine import find_environment
from torchstash.tools.bench.measure import Effort
from torchstash.tools.bench.outcome import Figure, Outcome, Section
from torchstash.tools.bench.storing import footprint, names
from torchstash.tools.bench.storing.comparisons import Scale, comparisons
from torchstash.tools.bench.storing.workload import equal_tensors, state_dict

_PACKAGES = ("safetensors", "tensorstore", "hf-xet")


def run_benchmark(
    *, scale: Scale, folder: Path, only: Sequence[str], effort: Effort, console: Console
) -> Outcome:
    """Measures everything; the console shows how far it is.

    Args:
        scale: How much is kept.
        folder: Where the stores are made; on the file system that is to be measured.
        only: Parts of the names of those who take part; all do where it is empty.
        effort: How much is spent on each contestant in each case.
        console: Where the progress bar is drawn.

    Raises:
        UsageError: Nobody is called anything like `only`.
    """
    environment = find_environment(["cpu"], _PACKAGES)
    compared = comparisons(scale, folder)
    heats = [heat for each in compared for heat in each.heats()]
    heats += names.heats(scale.names, folder)
    results = run_heats(heats, only=only, effort=effort, console=console)
    sections = []
    figures: list[Figure] = []
    for each in compared:
        found = results.get(each.title, [])
        moves_bytes = each.operations < scale.one_by_one
        if found:
            sections.append(Section(each.title, each.operation, found, has_throughput=moves_bytes))
        figures += each.figures(found)
    if names.TITLE in results:
        found = results[names.TITLE]
        sections.append(Section(names.TITLE, "call", found, has_throughput=False))
        figures += names.figures(found)
    if not only:
        small = equal_tensors(scale.one_by_one, scale.small_bytes, folder)
        figures += footprint.overhead(small)
        figures += footprint.two_versions(state_dict(folder, scale=scale.state_dict))
        figures += footprint.mapped_read(equal_tensors(scale.large, scale.large_bytes, folder))
    return Outcome("store", environment, sections, figures)
