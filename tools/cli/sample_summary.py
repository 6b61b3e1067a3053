"""What samples say of each cache, counted and timed."""

import math
import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from torchstash.cache import CacheSample
from torchstash.proto.cache.v1.cache_sample_pb2 import OPERATION_GET, OUTCOME_HIT, OUTCOME_MISS


@dataclass(slots=True)
class SampleSummary:
    """What one cache was asked for, and how it went. Made of at least one sample."""

    # By the numbers of the schema's enums, those that this version does not know included.
    operations: Counter[int] = field(default_factory=Counter)
    outcomes: Counter[int] = field(default_factory=Counter)
    # Of values as their backend keeps them, read and written.
    encoded_bytes: int = 0
    total_seconds: list[float] = field(default_factory=list)

    def add(self, sample: CacheSample) -> None:
        """Count one sample."""
        self.operations[sample.operation] += 1
        self.outcomes[sample.outcome] += 1
        self.encoded_bytes += sample.encoded_size_bytes
        duration = sample.total_duration
        self.total_seconds.append(duration.seconds + duration.nanos / 1e9)

    @property
    def hits(self) -> int:
        """Values that were found."""
        return self.outcomes[OUTCOME_HIT]

    @property
    def misses(self) -> int:
        """Values that were asked for and absent."""
        return self.outcomes[OUTCOME_MISS]

    @property
    def hit_rate(self) -> float | None:
        """Hits by gets, failed ones included; None where nothing was asked for."""
        gets = self.operations[OPERATION_GET]
        return self.hits / gets if gets else None

    @property
    def median_seconds(self) -> float:
        """The middle duration of all operations."""
        return statistics.median(self.total_seconds)

    @property
    def p95_seconds(self) -> float:
        """The duration that 95 of 100 operations stay within (nearest rank)."""
        ordered = sorted(self.total_seconds)
        return ordered[math.ceil(0.95 * len(ordered)) - 1]


def summarize_samples(samples: Iterable[CacheSample]) -> dict[str, SampleSummary]:
    """A summary for each cache that the samples name, in the order of names."""
    summaries: dict[str, SampleSummary] = {}
    for sample in samples:
        summaries.setdefault(sample.cache_name, SampleSummary()).add(sample)
    return dict(sorted(summaries.items()))
