import pytest
from typing_extensions import override

from torchstash.cache import (
    MemoryBackend,
    MemorySink,
    RemoteCache,
    RemoteCachePassthroughSerde,
)
from torchstash.cache.envelope import Envelope
from torchstash.cache.wrappers import Forgiving, Tiers
from torchstash.proto.cache.v1 import cache_sample_pb2 as pb
from torchstash.tests.cache.wrappers.scripted_backend import ScriptedBackend


def _cache(tiers: Tiers) -> tuple[RemoteCache[bytes], MemorySink]:
    sink = MemorySink()
    return RemoteCache(tiers, RemoteCachePassthroughSerde(), sink=sink), sink


def test_a_far_value_is_filled_into_all_nearer_tiers() -> None:
    near, middle, far = MemoryBackend(), MemoryBackend(), MemoryBackend()
    tiers = Tiers([("near", near), ("middle", middle), ("far", far)])
    cache, sink = _cache(tiers)
    far.put("key", b"x")
    assert cache.get("key") == b"x"
    assert near.get("key") == middle.get("key") == b"x"
    assert cache.get("key") == b"x"
    assert cache.get("absent") is None
    assert [sample.tier_name for sample in sink.samples] == ["far", "near", ""]
    middle.put("many", b"y")
    assert tiers.get_many(["many", "absent"]) == {"many": b"y"}
    assert near.get("many") == b"y"
    assert far.get("many") is None


def test_a_fault_of_a_nearer_tier_is_only_told() -> None:
    near, far = ScriptedBackend(), MemoryBackend()
    cache, sink = _cache(Tiers([("near", near), ("far", far)]))
    near.error = RuntimeError("on fire")
    cache.put("key", b"x")
    assert cache.get("key") == b"x"
    assert cache.get("absent") is None
    outcomes = [sample.outcome for sample in sink.samples]
    assert outcomes == [pb.OUTCOME_STORED, pb.OUTCOME_HIT, pb.OUTCOME_MISS]
    assert all(sample.attributes["fault:near"] == "on fire" for sample in sink.samples)
    assert all(sample.fail_reason == "" for sample in sink.samples)


def test_the_last_tier_counts() -> None:
    near, far = MemoryBackend(), ScriptedBackend()
    tiers = Tiers([("near", near), ("far", far)])
    far.error = RuntimeError("on fire")
    with pytest.raises(RuntimeError, match="on fire"):
        tiers.put("key", b"x")
    assert tiers.get("key") == b"x"  # The nearer tier has it all the same.
    with pytest.raises(RuntimeError, match="on fire"):
        tiers.get("absent")
    assert tiers.get_many(["key", "absent"]) == {"key": b"x"}


def test_a_tier_that_forgives_is_told_of_as_well() -> None:
    near, far = ScriptedBackend(), ScriptedBackend()
    cache, sink = _cache(Tiers([("near", Forgiving(near)), ("far", Forgiving(far))]))
    near.error = RuntimeError("near is on fire")
    far.error = TimeoutError("far is slow")
    assert cache.get("key") is None
    assert sink.samples[0].outcome == pb.OUTCOME_TIMED_OUT
    assert sink.samples[0].fail_reason == "far is slow"
    assert sink.samples[0].attributes["fault:near"] == "near is on fire"


def test_a_damaged_near_value_is_replaced() -> None:
    inside = MemoryBackend()
    near, far = Envelope(inside), MemoryBackend()
    cache, sink = _cache(Tiers([("near", near), ("far", far)]))
    cache.put("key", b"x")
    inside.put("key", b"garbage")
    assert cache.get("key") == b"x"
    assert sink.samples[-1].outcome == pb.OUTCOME_HIT
    assert (
        "no envelope" in sink.samples[-1].attributes["fault:near"]
        or "fewer" in (sink.samples[-1].attributes["fault:near"])
    )
    assert near.get("key") == b"x"


def test_a_put_that_comes_between_is_not_undone_by_a_fill() -> None:
    near = MemoryBackend()

    class Interrupted(MemoryBackend):
        @override
        def _get(self, key: str) -> bytes | None:
            value = super()._get(key)
            if value == b"old":
                tiers.put(key, b"new")
            return value

    far = Interrupted()
    tiers = Tiers([("near", near), ("far", far)])
    far.put("key", b"old")
    assert tiers.get("key") == b"old"
    assert near.get("key") == b"new"
    assert tiers.get("key") == b"new"


def test_at_least_one() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Tiers([])
