import pytest

from torchstash.cache import CorruptEntryError, MemorySink, RemoteCache, RemoteCachePassthroughSerde
from torchstash.cache.wrappers import Forgiving
from torchstash.proto.cache.v1 import cache_sample_pb2 as pb
from torchstash.tests.cache.wrappers.scripted_backend import ScriptedBackend


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (RuntimeError("on fire"), pb.OUTCOME_FAILED),
        (TimeoutError("5 s"), pb.OUTCOME_TIMED_OUT),
        (CorruptEntryError("key", "one bit"), pb.OUTCOME_REJECTED),
    ],
)
def test_a_fault_is_a_miss_with_its_outcome(error: Exception, outcome: int) -> None:
    inner, sink = ScriptedBackend(), MemorySink()
    backend = Forgiving(inner)
    cache: RemoteCache[bytes] = RemoteCache(backend, RemoteCachePassthroughSerde(), sink=sink)
    inner.error = error
    cache.put("key", b"x")
    assert cache.get("key") is None
    assert backend.get_many(["key"]) == {}
    backend.put_many({"key": b"x"})
    assert [sample.outcome for sample in sink.samples] == [outcome, outcome]
    assert all(str(error) == sample.fail_reason for sample in sink.samples)
    assert backend.failures == 4
    inner.error = None
    assert cache.get("key") is None
    assert sink.samples[-1].outcome == pb.OUTCOME_MISS
    assert sink.samples[-1].fail_reason == ""


def test_an_interrupt_goes_through() -> None:
    inner = ScriptedBackend()
    inner.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        Forgiving(inner).get("key")
