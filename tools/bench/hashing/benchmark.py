"""All contestants over all sizes, then the batches."""

from collections.abc import Sequence

from rich.console import Console

from torchstash.tools.bench.contestant import Contestant
from torchstash.tools.bench.errors import UsageError
from torchstash.tools.bench.hashing import accelerator_memory, libraries, memory_read, ours
from torchstash.tools.bench.hashing import torch_peers as torch_own
from torchstash.tools.bench.hashing.figures import figures
from torchstash.tools.bench.hashing.storages import Storages
from torchstash.tools.bench.machine import find_environment
from torchstash.tools.bench.measure import Effort, measure
from torchstash.tools.bench.outcome import Outcome, Section
from torchstash.tools.bench.progress import bench_progress
from torchstash.tools.bench.result import Case, Result
from torchstash.tools.bench.sizes import format_size

SINGLE = "One storage"
BATCH = "Many storages"

_PACKAGES = ("blake3", "xxhash", "triton")


def run_benchmark(
    *,
    devices: Sequence[str],
    sizes: Sequence[int],
    batches: Sequence[tuple[int, int]],
    only: Sequence[str],
    effort: Effort,
    console: Console,
) -> Outcome:
    """Measures everything; the console shows how far it is.

    Args:
        devices: By PyTorch's name; all must be present.
        sizes: Bytes of the storages that are hashed alone.
        batches: Number of storages and bytes of each.
        only: Parts of the names of those who take part; all do where it is empty.
        effort: How much is spent on each contestant in each case.
        console: Where the progress bar is drawn.

    Raises:
        UsageError: Nobody is called anything like `only`.
    """
    environment = find_environment(devices, _PACKAGES)
    singles, groups = _chosen(_single(devices), only), _chosen(_batch(devices), only)
    if not singles and not groups:
        names = dict.fromkeys(each.name for each in [*_single(devices), *_batch(devices)])
        raise UsageError(f"no contestant is called like {only}; there are: {'; '.join(names)}")
    samples = effort.rounds * (len(sizes) * len(singles) + len(batches) * len(groups))
    heats = [
        *((SINGLE, singles, 1, size) for size in sizes),
        *((BATCH, groups, count, size) for count, size in batches),
    ]
    results: dict[str, list[Result]] = {SINGLE: [], BATCH: []}
    with bench_progress(console, samples) as progress:
        for title, contestants, count, size in heats:
            case = _case(count, size)
            advance = progress.case(case.name)
            work = Storages(count, size)
            results[title] += measure(case, contestants, work, effort, advance=advance)
    return Outcome(
        benchmark="hash",
        environment=environment,
        sections=[
            Section(title, operation, results[title])
            for title, operation in ((SINGLE, "call"), (BATCH, "storage"))
            if results[title]
        ],
        figures=figures([*results[SINGLE], *results[BATCH]]),
    )


def _case(count: int, size: int) -> Case:
    prefix = "" if count == 1 else f"{count} x "
    return Case(prefix + format_size(size), count * size, operations=count)


def _single(devices: Sequence[str]) -> list[Contestant[Storages]]:
    contestants = []
    for device in devices:
        contestants.append(ours.single(device))
        if device == "cpu":
            contestants += libraries.contestants()
        contestants += torch_own.contestants(device)
        contestants += (
            memory_read.contestants() if device == "cpu" else accelerator_memory.contestants(device)
        )
    return contestants


def _batch(devices: Sequence[str]) -> list[Contestant[Storages]]:
    contestants = []
    for device in devices:
        contestants += [ours.batch(device), ours.one_by_one(device)]
        if device == "cpu":
            contestants.append(libraries.blake3_one_by_one())
    return contestants


def _chosen(
    contestants: Sequence[Contestant[Storages]], only: Sequence[str]
) -> list[Contestant[Storages]]:
    return [
        contestant
        for contestant in contestants
        if not only or any(text.lower() in contestant.name.lower() for text in only)
    ]
