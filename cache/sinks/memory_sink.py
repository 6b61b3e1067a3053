"""Samples in memory, for tests and small tools."""

from collections import deque

from typing_extensions import override

from torchstash.cache.sinks.sample_sink import SampleSink
from torchstash.proto.cache.v1.cache_sample_pb2 import CacheSample


class MemorySink(SampleSink):
    """Keeps the latest `max_samples`, or all of them. Thread-safe."""

    def __init__(self, max_samples: int | None = None) -> None:
        self._samples: deque[CacheSample] = deque(maxlen=max_samples)

    @override
    def log(self, sample: CacheSample) -> None:
        self._samples.append(sample)

    @property
    def samples(self) -> list[CacheSample]:
        """What was logged, the oldest first."""
        return list(self._samples)

    def clear(self) -> None:
        """Forget everything."""
        self._samples.clear()
