"""What a `RemoteCache` costs beside its backend: a get from a backend that does nothing."""

from typing_extensions import override

from torchstash.cache import (
    CacheSample,
    RemoteCache,
    RemoteCacheBackend,
    RemoteCachePassthroughSerde,
    SampleSink,
)
from torchstash.tools.bench.caching.values import Values
from torchstash.tools.bench.checks import equal_to
from torchstash.tools.bench.contestant import Contestant, Trial
from torchstash.tools.bench.errors import UnavailableError

OURS = "torchstash RemoteCache"
OURS_SAMPLED = "torchstash RemoteCache, sampled"
TORCH = "torch RemoteCache"
TORCH_SAMPLED = "torch RemoteCache, sampled"

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


def contestants() -> list[Contestant[Values]]:
    """Ours and PyTorch's, without samples and with them."""
    return [
        Contestant(OURS, "cpu", lambda _: _ours(None)),
        Contestant(OURS_SAMPLED, "cpu", lambda _: _ours(_NoSink())),
        Contestant(TORCH, "cpu", lambda _: _torch(sampled=False)),
        Contestant(TORCH_SAMPLED, "cpu", lambda _: _torch(sampled=True)),
    ]


def _ours(sink: SampleSink | None) -> Trial:
    cache = RemoteCache[bytes](_NoBackend(), RemoteCachePassthroughSerde(), sink=sink)
    return Trial(lambda: cache.get(_KEY), equal_to(_VALUE))


def _torch(*, sampled: bool) -> Trial:
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

    class Sampled(remote_cache.RemoteCache[bytes]):
        @override
        def _create_sample(self) -> remote_cache.Sample | None:
            # Of any type: all that is filled in is the reason of a failure.
            return CacheSample()

    serde = remote_cache.RemoteCachePassthroughSerde[bytes]()
    cache: remote_cache.RemoteCache[bytes] = (
        Sampled(Backend(), serde) if sampled else remote_cache.RemoteCache(Backend(), serde)
    )
    return Trial(lambda: cache.get(_KEY), equal_to(_VALUE))
