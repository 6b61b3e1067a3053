"""Counts of what caches and backends did, per name.

One object, `cache_counters`, counts for the whole process; every count is exact under any
number of threads. A child made by fork starts from its parent's counts.
"""

from dataclasses import dataclass, fields, replace

from typing_extensions import override

from torchstash.cache.fork_safe_lock import fork_safe_lock


@dataclass(slots=True)
class CacheCount:
    """What one cache or backend did."""

    hit: int = 0
    miss: int = 0
    put: int = 0
    exception: int = 0
    # Samples that could not be made or logged; the operations went on.
    dropped_sample: int = 0

    @override
    def __str__(self) -> str:
        return "{" + ", ".join(f"{f.name}: {getattr(self, f.name)}" for f in fields(self)) + "}"


class CacheCounters:
    """Counts by name. Thread-safe."""

    def __init__(self) -> None:
        self._lock = fork_safe_lock()
        self._counts: dict[str, CacheCount] = {}

    def _count(self, name: str) -> CacheCount:
        count = self._counts.get(name)
        if count is None:
            count = self._counts[name] = CacheCount()
        return count

    def hit(self, name: str, count: int = 1) -> None:
        """Count values that were found."""
        with self._lock:
            self._count(name).hit += count

    def miss(self, name: str, count: int = 1) -> None:
        """Count values that were asked for and absent."""
        with self._lock:
            self._count(name).miss += count

    def get(self, name: str, value: object) -> None:
        """Count the result of a `get`: None is a miss, all else a hit."""
        with self._lock:
            # Looked up here, not by `_count`, because this runs for every get.
            count = self._counts.get(name)
            if count is None:
                count = self._counts[name] = CacheCount()
            if value is None:
                count.miss += 1
            else:
                count.hit += 1

    def put(self, name: str, count: int = 1) -> None:
        """Count values that were taken."""
        with self._lock:
            self._count(name).put += count

    def exception(self, name: str, count: int = 1) -> None:
        """Count operations that raised."""
        with self._lock:
            self._count(name).exception += count

    def dropped_sample(self, name: str, count: int = 1) -> None:
        """Count samples that could not be made or logged."""
        with self._lock:
            self._count(name).dropped_sample += count

    def snapshot(self) -> dict[str, CacheCount]:
        """Copies of all counts of one instant, by name in order."""
        with self._lock:
            return {name: replace(self._counts[name]) for name in sorted(self._counts)}

    def clear(self) -> None:
        """Start again from nothing."""
        with self._lock:
            self._counts.clear()

    @override
    def __str__(self) -> str:
        return "\n".join(f"{name}: {count}" for name, count in self.snapshot().items())


# Of the whole process, like the statistics of the module that this one succeeds.
cache_counters = CacheCounters()
