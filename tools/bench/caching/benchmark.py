"""The layer's own cost, then the disk engine among other local stores."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from torchstash.tools.bench.caching import disk, overhead, stores
from torchstash.tools.bench.caching.values import Values
from torchstash.tools.bench.heats import Heat, run_heats
from torchstash.tools.bench.machine import find_environment
from torchstash.tools.bench.measure import Effort
from torchstash.tools.bench.outcome import Figure, Outcome, Section
from torchstash.tools.bench.result import Case, Result
from torchstash.tools.bench.sizes import format_size

LAYER = "RemoteCache over a backend that does nothing"
GET = "Disk get"
PUT = "Disk put"

_NOTHING = "get"
_PACKAGES = ("diskcache",)


def run_benchmark(
    *, sizes: Sequence[int], folder: Path, only: Sequence[str], effort: Effort, console: Console
) -> Outcome:
    """Measures everything; the console shows how far it is.

    Args:
        sizes: Bytes of the values on disk, 8 at least.
        folder: Where the stores are made; on the file system that is to be measured.
        only: Parts of the names of those who take part; all do where it is empty.
        effort: How much is spent on each contestant in each case.
        console: Where the progress bar is drawn.

    Raises:
        UsageError: Nobody is called anything like `only`.
    """
    environment = find_environment(["cpu"], _PACKAGES)
    heats = [Heat(LAYER, Case(_NOTHING, 0), overhead.contestants(), lambda: Values(0, folder))]
    for section, contestants in ((GET, disk.gets()), (PUT, disk.puts())):
        for size in sizes:
            work = functools.partial(Values, size, folder)
            heats.append(Heat(section, Case(format_size(size), size), contestants, work))
    results = run_heats(heats, only=only, effort=effort, console=console)
    return Outcome(
        benchmark="cache",
        environment=environment,
        sections=[
            Section(title, "call", found, has_throughput=title != LAYER)
            for title, found in results.items()
        ],
        figures=list(_figures(results)),
    )


def _figures(results: Mapping[str, Sequence[Result]]) -> Iterator[Figure]:
    goals = (
        (LAYER, overhead.OURS_SAMPLED, _NOTHING, 8),
        (GET, stores.OURS, "64 KiB", 15),
    )
    for section, contestant, case, most in goals:
        for result in results.get(section, ()):
            us = result.microseconds_per_operation
            if (result.contestant, result.case.name) == (contestant, case) and us is not None:
                yield Figure(f"{section}, {case}: {contestant}", us, "us", at_most=most)
