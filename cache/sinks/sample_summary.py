"""What samples say of each cache: counted, timed, and what it saved."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from torchstash.proto.cache.v1.cache_sample_pb2 import (
    OPERATION_GET,
    OPERATION_PUT,
    OUTCOME_HIT,
    OUTCOME_MISS,
    CacheSample,
)


@dataclass(slots=True)
class SampleSummary:
    """What one cache was asked for, and how it went. Made of at least one sample.

    What was saved is an estimate. Making a value took as long as from the end of the last get of
    its key that found nothing to the beginning of the put that followed; each later hit has saved
    that time, less the time that the hit itself took. Hits of values that were put before the
    first of these samples save nothing here.
    """

    # By the numbers of the schema's enums, those that this version does not know included.
    operations: Counter[int] = field(default_factory=Counter)
    outcomes: Counter[int] = field(default_factory=Counter)
    # Of values as their backend keeps them, read and written.
    encoded_bytes: int = 0
    # Of values as their backend keeps them, that hits gave: they were not made again.
    hit_bytes: int = 0
    # What values are smaller by as their backend keeps them, where both sizes are known.
    compressed_away_bytes: int = 0
    seconds_saved: float = 0.0
    total_seconds: list[float] = field(default_factory=list)
    # By key: when it was last missed, and how long its value took to make.
    _missed_ns: dict[str, int] = field(default_factory=dict, repr=False)
    _cost_ns: dict[str, int] = field(default_factory=dict, repr=False)

    def add(self, sample: CacheSample) -> None:
        """Count one sample. In the order in which they were logged."""
        self.operations[sample.operation] += 1
        self.outcomes[sample.outcome] += 1
        self.encoded_bytes += sample.encoded_size_bytes
        if sample.HasField("value_size_bytes") and sample.HasField("encoded_size_bytes"):
            self.compressed_away_bytes += sample.value_size_bytes - sample.encoded_size_bytes
        duration_ns = _ns(sample.total_duration)
        self.total_seconds.append(duration_ns / 1e9)
        self._add_saving(sample, _ns(sample.start_time), duration_ns)

    def _add_saving(self, sample: CacheSample, start_ns: int, duration_ns: int) -> None:
        key = sample.key
        if sample.operation == OPERATION_PUT:
            missed_ns = self._missed_ns.pop(key, None)
            if missed_ns is not None:
                self._cost_ns[key] = max(0, start_ns - missed_ns)
        elif sample.operation == OPERATION_GET and sample.outcome == OUTCOME_HIT:
            self.hit_bytes += sample.encoded_size_bytes
            self.seconds_saved += max(0, self._cost_ns.get(key, 0) - duration_ns) / 1e9
        elif sample.operation == OPERATION_GET:
            self._missed_ns[key] = start_ns + duration_ns

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
        ordered = sorted(self.total_seconds)
        middle = len(ordered) // 2
        # Not from `statistics`, whose import takes longer than that of this whole layer.
        return (ordered[middle] + ordered[~middle]) / 2

    @property
    def p95_seconds(self) -> float:
        """The duration that 95 of 100 operations stay within."""
        return self.percentile_seconds(0.95)

    @property
    def p99_seconds(self) -> float:
        """The duration that 99 of 100 operations stay within."""
        return self.percentile_seconds(0.99)

    def percentile_seconds(self, fraction: float) -> float:
        """The duration that this part of all operations stays within (nearest rank).

        Raises:
            ValueError: `fraction` is not above 0 and at most 1.
        """
        if not 0 < fraction <= 1:
            raise ValueError(f"a percentile is of a fraction above 0 and up to 1, not {fraction}")
        ordered = sorted(self.total_seconds)
        return ordered[math.ceil(fraction * len(ordered)) - 1]


def summarize_samples(samples: Iterable[CacheSample]) -> dict[str, SampleSummary]:
    """A summary for each cache that the samples name, in the order of names."""
    summaries: dict[str, SampleSummary] = {}
    for sample in samples:
        summaries.setdefault(sample.cache_name, SampleSummary()).add(sample)
    return dict(sorted(summaries.items()))


def _ns(time: Duration | Timestamp) -> int:
    return time.seconds * 10**9 + time.nanos
