"""The layer's own cost, the disk engine among other local stores, Redis clients."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from torchstash.tools.bench.caching import disk, overhead, redis_clients, remote, stores
from torchstash.tools.bench.caching.redis_server import redis_server
from torchstash.tools.bench.caching.remote import RemoteValues
from torchstash.tools.bench.caching.values import Values
from torchstash.tools.bench.errors import UnavailableError
from torchstash.tools.bench.heats import Heat, run_heats
from torchstash.tools.bench.machine import find_environment
from torchstash.tools.bench.measure import Effort
from torchstash.tools.bench.outcome import Figure, Outcome, Section
from torchstash.tools.bench.result import Case, Result
from torchstash.tools.bench.sizes import format_size

LAYER = "RemoteCache over a backend that does nothing"
GET = "Disk get"
PUT = "Disk put"
REDIS_GET = "Redis get, on loopback"
REDIS_PUT = "Redis put, on loopback"
HUNDRED = "Redis, 100 keys"

_NOTHING = "get"
_PACKAGES = ("diskcache", "dogpile.cache", "hiredis", "redis")
_KIB, _MIB = 1 << 10, 1 << 20
# Ours in a peer's times, and how many they may be. Goals in microseconds are those of one machine:
# 8 where PyTorch's sampled get takes 6, and 15 where SQLite and PyTorch's files take 11.
_RATIOS: Final = (
    (LAYER, _NOTHING, overhead.OURS_SAMPLED, overhead.TORCH_SAMPLED, 1.33),
    (GET, "64 KiB", stores.OURS, stores.SQLITE, 1.36),
    (GET, "64 KiB", stores.OURS, stores.TORCH, 1.36),
    (REDIS_GET, "1 KiB", redis_clients.OURS, redis_clients.RAW, 2),
    (REDIS_GET, "1 KiB", redis_clients.OURS, redis_clients.REDIS_PY, 1),
)
_REMOTE_SIZES = (_KIB, 64 * _KIB, 8 * _MIB)


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
    with redis_server(folder) as port:
        heats = [*_local(sizes, folder), *_remote(port)]
        results = run_heats(heats, only=only, effort=effort, console=console)
    return Outcome(
        benchmark="cache",
        environment=environment,
        sections=[
            Section(title, "call", found, has_throughput=title not in (LAYER, HUNDRED))
            for title, found in results.items()
        ],
        figures=list(_figures(results)),
    )


def _local(sizes: Sequence[int], folder: Path) -> Iterator[Heat[Any]]:
    yield Heat(LAYER, Case(_NOTHING, 0), overhead.contestants(), lambda: Values(0, folder))
    for section, contestants in ((GET, disk.gets()), (PUT, disk.puts())):
        for size in sizes:
            work = functools.partial(Values, size, folder)
            yield Heat(section, Case(format_size(size), size), contestants, work)


def _remote(port: int | UnavailableError) -> Iterator[Heat[Any]]:
    for section, contestants in ((REDIS_GET, remote.gets()), (REDIS_PUT, remote.puts())):
        for size in _REMOTE_SIZES:
            work = functools.partial(RemoteValues, size, port)
            yield Heat(section, Case(format_size(size), size), contestants, work)
    case = Case(f"{remote.KEYS_AT_ONCE} x 1 KiB", remote.KEYS_AT_ONCE * _KIB)
    yield Heat(HUNDRED, case, remote.hundreds(), functools.partial(RemoteValues, _KIB, port))


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
    for section, case, ours, peer, at_most in _RATIOS:
        ratio = _ratio(results.get(section, ()), case, ours, peer)
        if ratio is not None:
            yield Figure(f"{section}, {case}: ours / {peer}, time", ratio, at_most=at_most)
    for client in (redis_clients.OURS, redis_clients.OURS_OPENED):
        one_by_one, at_once = client + remote.ONE_BY_ONE, client + remote.AT_ONCE
        gain = _ratio(results.get(HUNDRED, ()), None, one_by_one, at_once)
        if gain is not None:
            yield Figure(f"{client}: 100 keys at once / one by one, speed", gain, at_least=10)


def _ratio(results: Sequence[Result], case: str | None, slower: str, faster: str) -> float | None:
    """How many times as long the first one takes."""
    found = {
        result.contestant: result.median_seconds
        for result in results
        if case is None or result.case.name == case
    }
    above, below = found.get(slower), found.get(faster)
    return above / below if above is not None and below else None
