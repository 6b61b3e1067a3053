import threading

import pytest
from typing_extensions import override

from torchstash.cache import (
    BackendFullError,
    BackendSkippedError,
    BackendTimeoutError,
    BackendUnreachableError,
    MemorySink,
    RemoteCache,
    RemoteCachePassthroughSerde,
)
from torchstash.cache.capabilities import SelfTimed
from torchstash.cache.network import Timeouts
from torchstash.cache.wrappers import BreakerLimits, Forgiving, Guarded
from torchstash.proto.cache.v1 import cache_sample_pb2 as pb
from torchstash.tests.cache.wrappers.scripted_backend import Clock, ScriptedBackend

_PATIENT = Timeouts(60.0, 60.0)
_LIMITS = BreakerLimits(3, 100.0, 10.0)


class _SelfTimed(ScriptedBackend, SelfTimed):
    """Says that it keeps its deadlines."""


def _guarded(inner: ScriptedBackend, clock: Clock) -> Guarded:
    return Guarded(inner, timeouts=_PATIENT, limits=_LIMITS, clock=clock)


def test_a_backend_that_times_itself_is_called_directly_once_it_has_answered() -> None:
    clock, inner = Clock(), _SelfTimed()
    backend = _guarded(inner, clock)
    for _ in range(4):
        backend.get("key")
    here = threading.get_ident()
    assert [thread == here for thread in inner.threads] == [False, True, True, True]
    # After an idle time its connection may be gone, and a name look-up come first.
    clock.now += 31
    backend.get("key")
    backend.get("key")
    assert [thread == here for thread in inner.threads[4:]] == [False, True]
    # And after a failure.
    inner.error = BackendUnreachableError("gone")
    for _ in range(2):
        with pytest.raises(BackendUnreachableError):
            backend.get("key")
    assert [thread == here for thread in inner.threads[6:]] == [True, False]


def test_any_other_is_called_in_a_thread() -> None:
    inner = ScriptedBackend()
    backend = _guarded(inner, Clock())
    backend.put("key", b"x")
    assert backend.get("key") == b"x"
    assert threading.get_ident() not in inner.threads


def test_one_that_does_not_keep_its_deadlines_is_trusted_no_more() -> None:
    clock = Clock()

    class Late(_SelfTimed):
        @override
        def _get(self, key: str) -> bytes | None:
            clock.now += 1000
            return super()._get(key)

    inner = Late()
    backend = _guarded(inner, clock)
    for _ in range(4):
        backend.get("key")
    assert threading.get_ident() not in inner.threads


def test_a_hang_is_given_up_within_the_time_that_may_be_lost() -> None:
    inner = ScriptedBackend()
    inner.hangs = True
    limits = BreakerLimits(3, 0.01, 10.0)
    backend = Guarded(inner, timeouts=_PATIENT, limits=limits)
    with pytest.raises(BackendTimeoutError):
        backend.get("key")
    assert backend.breaker.is_open()
    assert backend.abandoned_calls == 1
    with pytest.raises(BackendSkippedError):
        backend.get("key")
    # On a busy machine the abandoned call begins after it was given up.
    assert inner.entered.acquire(timeout=60)
    assert len(inner.calls) == 1
    inner.release.set()


def test_open_until_a_probe_that_nobody_waits_for() -> None:
    clock, inner = Clock(), ScriptedBackend()
    backend = _guarded(inner, clock)
    inner.error = BackendUnreachableError("gone")
    for _ in range(3):
        with pytest.raises(BackendUnreachableError):
            backend.get("key")
    for _ in range(100):
        with pytest.raises(BackendSkippedError, match="memory failed of late"):
            backend.put("key", b"x")
    assert len(inner.calls) == 3
    # The probe hangs, and its caller goes on all the same.
    clock.now += 10
    inner.error, inner.hangs = None, True
    with pytest.raises(BackendSkippedError):
        backend.put("key", b"probe")
    for _ in range(4):
        assert inner.entered.acquire(timeout=60)
    assert backend.breaker.is_open()
    with pytest.raises(BackendSkippedError):
        backend.get("key")
    inner.hangs = False
    inner.release.set()
    while backend.breaker.is_open():  # The thread of the probe says so in a moment.
        assert inner.left.acquire(timeout=60)
    assert backend.get("key") == b"probe"


def test_what_a_server_says_is_no_failure_of_the_server() -> None:
    inner = ScriptedBackend()
    backend = _guarded(inner, Clock())
    inner.error = BackendFullError("full")
    for _ in range(10):
        with pytest.raises(BackendFullError):
            backend.put("key", b"x")
    inner.error = None
    assert backend.get("key") is None


def test_samples_tell() -> None:
    inner, sink = ScriptedBackend(), MemorySink()
    clock = Clock()
    backend = Forgiving(_guarded(inner, clock))
    cache: RemoteCache[bytes] = RemoteCache(backend, RemoteCachePassthroughSerde(), sink=sink)
    inner.error = BackendTimeoutError("slow")
    for _ in range(4):
        assert cache.get("key") is None
    cache.put("key", b"x")
    outcomes = [sample.outcome for sample in sink.samples]
    assert outcomes == [pb.OUTCOME_TIMED_OUT] * 3 + [pb.OUTCOME_SKIPPED] * 2
    assert [sample.attributes["breaker"] for sample in sink.samples[3:]] == ["open", "open"]
    assert sink.samples[0].fail_reason == "slow"
    assert "left alone" in sink.samples[4].fail_reason
    assert {sample.backend_name for sample in sink.samples} == {"memory"}
    assert backend.failures == 5
