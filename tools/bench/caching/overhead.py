"""What a `RemoteCache` costs beside its backend: a get from a backend that does nothing.

"Sampled" is the same work on both sides: one `CacheSample` with when, what, how it ended, sizes and
three durations, handed to a sink that does nothing with it. Ours makes it of itself; PyTorch's
leaves that to its user, who has the methods that `Sampled` below overrides. An "empty sample" is
what PyTorch's costs where one is made, and nothing is written into it.
"""

from time import perf_counter_ns, time_ns
from typing import Any

from typing_extensions import override

from torchstash.cache import (
    CacheSample,
    RemoteCache,
    RemoteCacheBackend,
    RemoteCachePassthroughSerde,
    SampleSink,
)
from torchstash.proto.cache.v1.cache_sample_pb2 import (
    OPERATION_GET,
    OUTCOME_HIT,
    OUTCOME_MISS,
)
from torchstash.tools.bench.caching.values import Values
from torchstash.tools.bench.checks import equal_to
from torchstash.tools.bench.contestant import Contestant, Trial
from torchstash.tools.bench.errors import UnavailableError

OURS = "torchstash RemoteCache"
OURS_SAMPLED = "torchstash RemoteCache, sampled"
TORCH = "torch RemoteCache"
TORCH_SAMPLED = "torch RemoteCache, sampled"
TORCH_EMPTY = "torch RemoteCache, empty sample"

_KEY = "0123456789abcdef"
_VALUE = b"value"


class _NoBackend(RemoteCacheBackend[bytes]):
    @override
    def _get(self, key: str) -> bytes | None:
        return _VALUE

    @override
    def _put(self, key: str, data: bytes) -> None:
        pass


class _NoSink(SampleSink):
    @override
    def log(self, sample: CacheSample) -> None:
        pass


_NO_SINK = _NoSink()


def contestants(sink: SampleSink = _NO_SINK) -> list[Contestant[Values]]:
    """Ours and PyTorch's, without samples and with them, which go to `sink`."""
    return [
        Contestant(OURS, "cpu", lambda _: _ours(None)),
        Contestant(OURS_SAMPLED, "cpu", lambda _: _ours(sink)),
        Contestant(TORCH, "cpu", lambda _: _torch(TORCH, sink)),
        Contestant(TORCH_EMPTY, "cpu", lambda _: _torch(TORCH_EMPTY, sink)),
        Contestant(TORCH_SAMPLED, "cpu", lambda _: _torch(TORCH_SAMPLED, sink)),
    ]


def _ours(sink: SampleSink | None) -> Trial:
    cache = RemoteCache[bytes](_NoBackend(), RemoteCachePassthroughSerde(), sink=sink)
    return Trial(lambda: cache.get(_KEY), equal_to(_VALUE))


def _torch(name: str, sink: SampleSink) -> Trial:
    try:
        from torch._inductor import remote_cache  # noqa: PLC0415 - a peer that may be missing
    except ImportError as error:
        raise UnavailableError(f"this PyTorch has no remote cache: {error}") from error

    class Backend(remote_cache.RemoteCacheBackend[bytes]):
        @override
        def _get(self, key: str) -> bytes | None:
            return _VALUE

        @override
        def _put(self, key: str, data: bytes) -> None:
            pass

    class Empty(remote_cache.RemoteCache[bytes]):
        @override
        def _create_sample(self) -> remote_cache.Sample | None:
            # Of any type: all that is filled in is the reason of a failure.
            return CacheSample()

    class Sampled(Empty):
        @override
        def _get(self, key: str, sample: Any) -> bytes | None:
            unix_ns, started_ns = time_ns(), perf_counter_ns()
            data: Any = self._backend_get(key)
            answered_ns = perf_counter_ns()
            value = None if data is None else self._decode(data, sample)
            ended_ns = perf_counter_ns()
            sample.cache_name = type(self).__name__
            sample.backend_name = type(self.backend).__name__
            sample.operation = OPERATION_GET
            sample.key = key
            sample.outcome = OUTCOME_MISS if value is None else OUTCOME_HIT
            sample.start_time.seconds, sample.start_time.nanos = divmod(unix_ns, 10**9)
            sample.total_duration.nanos = ended_ns - started_ns
            sample.transport_duration.nanos = answered_ns - started_ns
            if value is not None:
                sample.serde_duration.nanos = ended_ns - answered_ns
                sample.encoded_size_bytes = len(data)
                sample.value_size_bytes = len(value)
            return value

        @override
        def _log_sample(self, sample: Any) -> None:
            sink.log(sample)

    kind = {TORCH_EMPTY: Empty, TORCH_SAMPLED: Sampled}.get(name, remote_cache.RemoteCache)
    cache = kind(Backend(), remote_cache.RemoteCachePassthroughSerde[bytes]())
    return Trial(lambda: cache.get(_KEY), equal_to(_VALUE))
