"""Where samples go."""

from abc import ABC, abstractmethod

from torchstash.proto.cache.v1.cache_sample_pb2 import CacheSample


class SampleSink(ABC):
    """Takes the samples of any number of caches and threads."""

    @abstractmethod
    def log(self, sample: CacheSample) -> None:
        """Take one sample; the caller does not change it any more.

        This runs inside the `get` or `put` that is sampled: it must be quick. What it raises is
        counted by the cache and forgotten.
        """
