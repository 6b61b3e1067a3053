"""All contestants over all sizes, then the batches."""

from collections.abc import Sequence

from rich.console import Console

from torchstash.tools.bench.contestant import Contestant
from torchstash.tools.bench.hashing import accelerator_memory, libraries, memory_read, ours
from torchstash.tools.bench.hashing import torch_peers as torch_own
from torchstash.tools.bench.hashing.figures import figures
from torchstash.tools.bench.hashing.storages import Storages
from torchstash.tools.bench.heats import Heat, run_heats
from torchstash.tools.bench.machine import find_environment
from torchstash.tools.bench.measure import Effort
from torchstash.tools.bench.outcome import Outcome, Section
from torchstash.tools.bench.result import Case
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
    singles, groups = _single(devices), _batch(devices)
    heats = [
        *(_heat(SINGLE, singles, 1, size) for size in sizes),
        *(_heat(BATCH, groups, count, size) for count, size in batches),
    ]
    results = run_heats(heats, only=only, effort=effort, console=console)
    return Outcome(
        benchmark="hash",
        environment=environment,
        sections=[
            Section(title, operation, results[title])
            for title, operation in ((SINGLE, "call"), (BATCH, "storage"))
            if title in results
        ],
        figures=figures([result for section in results.values() for result in section]),
    )


def _heat(
    section: str, contestants: Sequence[Contestant[Storages]], count: int, size_bytes: int
) -> Heat[Storages]:
    prefix = "" if count == 1 else f"{count} x "
    case = Case(prefix + format_size(size_bytes), count * size_bytes, operations=count)
    return Heat(section, case, contestants, lambda: Storages(count, size_bytes))


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
