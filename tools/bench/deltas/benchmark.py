"""Saves, then loads, then the numbers that the benchmark is run for."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from torchstash.tools.bench.deltas import contestants, keepers
from torchstash.tools.bench.deltas.versions import Versions
from torchstash.tools.bench.heats import Heat, run_heats
from torchstash.tools.bench.machine import find_environment
from torchstash.tools.bench.measure import Effort
from torchstash.tools.bench.outcome import Figure, Outcome, Section
from torchstash.tools.bench.result import Case, Result
from torchstash.tools.bench.sizes import format_size

SAVE = "Save, 1 % of bfloat16 weights changed"
LOAD = "Load"

_PACKAGES = ("backports.zstd",)
_MOST_BYTES = 0.03
_LEAST_SPEED = 0.5


def run_benchmark(
    *, sizes: Sequence[int], folder: Path, only: Sequence[str], effort: Effort, console: Console
) -> Outcome:
    """Measures everything; the console shows how far it is.

    Args:
        sizes: Bytes of the weights.
        folder: Where they are kept; on the file system that is to be measured.
        only: Parts of the names of those who take part; all do where it is empty.
        effort: How much is spent on each contestant in each case.
        console: Where the progress bar is drawn.

    Raises:
        UsageError: Nobody is called anything like `only`.
    """
    environment = find_environment(["cpu"], _PACKAGES)
    heats = []
    # What was kept of each size is known when it was saved.
    stored_bytes: dict[str, dict[str, int]] = {}
    for size in sizes:
        case = Case(format_size(size), size)
        make = functools.partial(_versions, size, folder, stored_bytes.setdefault(case.name, {}))
        heats.append(Heat(SAVE, case, contestants.saves(), make))
        heats.append(Heat(LOAD, case, contestants.loads(), make))
    results = run_heats(heats, only=only, effort=effort, console=console)
    return Outcome(
        benchmark="delta",
        environment=environment,
        sections=[Section(title, "call", found) for title, found in results.items()],
        figures=[*_speeds(results), *_bytes(stored_bytes, sizes)],
    )


def _versions(size_bytes: int, folder: Path, stored_bytes: dict[str, int]) -> Versions:
    versions = Versions(size_bytes, folder)
    versions.stored_bytes = stored_bytes
    return versions


def _speeds(results: Mapping[str, Sequence[Result]]) -> Iterator[Figure]:
    for section, found in results.items():
        verb = "save" if section == SAVE else "load"
        by_place = {(result.case.name, result.contestant): result for result in found}
        for case in dict.fromkeys(result.case.name for result in found):
            own = by_place.get((case, keepers.OURS))
            if own is None or own.gigabytes_per_second is None:
                continue
            name = f"{verb}, {case}"
            speed = own.gigabytes_per_second
            yield Figure(f"{name}: {keepers.OURS}", speed, "GB/s", at_least=_LEAST_SPEED)
            for peer in (keepers.OURS_IN_FULL, keepers.TORCH, keepers.PATCH):
                other = by_place.get((case, peer))
                if other is not None and other.gigabytes_per_second is not None:
                    ratio = speed / other.gigabytes_per_second
                    yield Figure(f"{name}: {keepers.OURS} / {peer}, speed", ratio)


def _bytes(stored_bytes: Mapping[str, Mapping[str, int]], sizes: Sequence[int]) -> Iterator[Figure]:
    for (case, found), size in zip(stored_bytes.items(), sizes, strict=True):
        for name, kept in found.items():
            goal = _MOST_BYTES if name == keepers.OURS else None
            yield Figure(f"{case}: bytes kept by {name}", kept / size, at_most=goal)
