"""The numbers that the benchmark is run for, and the goals that we set ourselves."""

from collections.abc import Iterator, Sequence

from torchstash.tools.bench.hashing import accelerator_memory, libraries, memory_read, ours
from torchstash.tools.bench.hashing import torch_peers as torch_own
from torchstash.tools.bench.outcome import Figure
from torchstash.tools.bench.result import Result
from torchstash.tools.bench.sizes import format_size

_GIB = 1 << 30
_BATCH, _BATCH_TOTAL = "64 x 1 MiB", "64 MiB"

# By device and peer, for 1 GiB: ours is to have so many times the peer's throughput.
_GOALS = {
    ("cpu", torch_own.DEFAULT_MODE): 100,
    ("cpu", torch_own.SHA1_MODE): 3,
    ("cpu", libraries.BLAKE3_ALL_THREADS): 0.95,
    ("cpu", memory_read.ALL_THREADS): 0.22,
    ("cuda", torch_own.DEFAULT_MODE): 10,
    ("cuda", accelerator_memory.BUS): 10,
    ("xpu", torch_own.DEFAULT_MODE): 10,
    ("xpu", accelerator_memory.BUS): 10,
}
_PEERS = (
    torch_own.DEFAULT_MODE,
    torch_own.SHA1_MODE,
    libraries.BLAKE3_ALL_THREADS,
    memory_read.ALL_THREADS,
    accelerator_memory.MEMORY,
    accelerator_memory.BUS,
)


def figures(results: Sequence[Result]) -> list[Figure]:
    """Those that can be told from what was measured."""
    by_place = {
        (result.device, result.contestant, result.case.name): result
        for result in results
        if result.seconds
    }
    return list(_figures(by_place, list(dict.fromkeys(result.device for result in results))))


_ByPlace = dict[tuple[str, str, str], Result]


def _figures(by_place: _ByPlace, devices: Sequence[str]) -> Iterator[Figure]:
    for device in devices:
        yield from _against_peers(by_place, device)
        small = by_place.get((device, ours.NAME, "4 KiB"))
        if small is not None and (us := small.microseconds_per_operation) is not None:
            yield Figure(
                f"{device}: one call, 4 KiB", us, "us", at_most=5 if device == "cpu" else None
            )
        batch = _ratio(
            by_place.get((device, ours.BATCH, _BATCH)),
            by_place.get((device, ours.NAME, _BATCH_TOTAL)),
        )
        if batch is not None:
            yield Figure(
                f"{device}: {_BATCH} at once / one of {_BATCH_TOTAL}, time", batch, at_most=2
            )
        for case in dict.fromkeys(name for at, who, name in by_place if who == ours.BATCH):
            gain = _ratio(
                by_place.get((device, ours.ONE_BY_ONE, case)),
                by_place.get((device, ours.BATCH, case)),
            )
            if gain is not None:
                yield Figure(f"{device}: {case}, at once / one by one, speed", gain)


def _against_peers(by_place: _ByPlace, device: str) -> Iterator[Figure]:
    own = [result for (at, who, _), result in by_place.items() if (at, who) == (device, ours.NAME)]
    if not own:
        return
    largest = max(own, key=lambda result: result.case.size_bytes)
    size = largest.case.size_bytes
    if device != "cpu" and (speed := largest.gigabytes_per_second) is not None:
        fast = 800 if (device, size) == ("cuda", _GIB) else None
        yield Figure(f"{device}: ours, {format_size(size)}", speed, "GB/s", at_least=fast)
    for peer in _PEERS:
        ratio = _ratio(by_place.get((device, peer, largest.case.name)), largest)
        if ratio is not None:
            goal = _GOALS.get((device, peer)) if size == _GIB else None
            yield Figure(
                f"{device}: ours / {peer}, {format_size(size)}, speed", ratio, at_least=goal
            )


def _ratio(slower: Result | None, faster: Result | None) -> float | None:
    """How many times as long the first one takes."""
    if slower is None or faster is None:
        return None
    above, below = slower.median_seconds, faster.median_seconds
    return above / below if above is not None and below else None
