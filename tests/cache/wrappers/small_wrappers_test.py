"""Read-only, negative caching and single flight."""

import threading

import pytest
from typing_extensions import override

from torchstash.cache import (
    InvalidKeyError,
    MemoryBackend,
    MemorySink,
    RemoteCache,
    RemoteCachePassthroughSerde,
)
from torchstash.cache.wrappers import NegativeCaching, ReadOnly, SingleFlight
from torchstash.proto.cache.v1 import cache_sample_pb2 as pb
from torchstash.tests.cache.child_process import run_in_child
from torchstash.tests.cache.wrappers.scripted_backend import Clock, ScriptedBackend


class TestReadOnly:
    def test_reads_and_never_writes(self) -> None:
        inner, sink = MemoryBackend(), MemorySink()
        inner.put("key", b"x")
        backend = ReadOnly(inner)
        cache: RemoteCache[bytes] = RemoteCache(backend, RemoteCachePassthroughSerde(), sink=sink)
        cache.put("key", b"y")
        backend.put_many({"other": b"y"})
        assert cache.get("key") == b"x"
        assert inner.get("other") is None
        assert [sample.outcome for sample in sink.samples] == [pb.OUTCOME_SKIPPED, pb.OUTCOME_HIT]
        assert "read-only" in sink.samples[0].fail_reason
        with pytest.raises(InvalidKeyError):
            backend.put("\ud800", b"")


class TestNegativeCaching:
    def test_a_miss_is_remembered_for_its_life(self) -> None:
        clock, inner, sink = Clock(), ScriptedBackend(), MemorySink()
        backend = NegativeCaching(inner, life_seconds=2.0, clock=clock)
        cache: RemoteCache[bytes] = RemoteCache(backend, RemoteCachePassthroughSerde(), sink=sink)
        assert cache.get("key") is None
        inner.put("key", b"x")  # By somebody else.
        clock.now += 1.99
        assert cache.get("key") is None
        assert backend.get_many(["key"]) == {}
        clock.now += 0.01
        assert cache.get("key") == b"x"
        assert [call for call in inner.calls if call[0] == "get"] == [("get", "key")] * 2
        assert [dict(sample.attributes) for sample in sink.samples] == [
            {},
            {"negative_cache": "hit"},
            {},
        ]

    def test_a_put_is_found_at_once(self) -> None:
        backend = NegativeCaching(MemoryBackend(), clock=Clock())
        assert backend.get_many(["a", "b"]) == {}
        backend.put("a", b"1")
        backend.put_many({"b": b"2"})
        assert backend.get_many(["a", "b"]) == {"a": b"1", "b": b"2"}

    def test_a_miss_from_before_a_put_is_not_remembered(self) -> None:
        class Interrupted(MemoryBackend):
            @override
            def _get(self, key: str) -> bytes | None:
                value = super()._get(key)
                if value is None:
                    backend.put(key, b"x")
                return value

        backend = NegativeCaching(Interrupted(), clock=Clock())
        assert backend.get("key") is None
        assert backend.get("key") == b"x"

    def test_a_failure_is_not_remembered(self) -> None:
        inner = ScriptedBackend()
        backend = NegativeCaching(inner, clock=Clock())
        inner.error = RuntimeError("on fire")
        with pytest.raises(RuntimeError):
            backend.get("key")
        inner.error = None
        backend.get("key")
        assert len(inner.calls) == 2

    def test_only_the_latest_are_remembered(self) -> None:
        inner = ScriptedBackend()
        backend = NegativeCaching(inner, max_keys=2, clock=Clock())
        for key in ("a", "b", "c", "c", "b", "a"):
            backend.get(key)
        assert [key for _, key in inner.calls] == ["a", "b", "c", "a"]


class TestSingleFlight:
    @pytest.mark.parametrize("fails", [False, True])
    def test_threads_ask_once(self, fails: bool) -> None:
        inner = ScriptedBackend()
        inner.put("key", b"x")
        inner.hangs = True
        if fails:
            inner.error = RuntimeError("on fire")
        backend = SingleFlight(inner)
        found: list[object] = []

        def get() -> None:
            try:
                found.append(backend.get("key"))
            except RuntimeError as error:
                found.append(str(error))

        threads = [threading.Thread(target=get) for _ in range(8)]
        for thread in threads:
            thread.start()
        for _ in range(2):
            assert inner.entered.acquire(timeout=60)
        # The others wait for the first, or have not begun; both ask no second time.
        inner.release.set()
        for thread in threads:
            thread.join()
        assert found == ["on fire" if fails else b"x"] * 8

    def test_those_that_wait_ask_nothing(self) -> None:
        waiting = threading.Semaphore(0)
        inner = ScriptedBackend()
        inner.hangs = True
        backend = SingleFlight(inner)
        first = threading.Thread(target=backend.get, args=("key",))
        first.start()
        assert inner.entered.acquire(timeout=60)
        flight = backend._flights["key"]
        wait = flight.done.wait

        def telling(timeout: float | None = None) -> bool:
            waiting.release()
            return wait(timeout)

        flight.done.wait = telling  # type: ignore[method-assign]
        others = [threading.Thread(target=backend.get, args=("key",)) for _ in range(7)]
        for thread in others:
            thread.start()
        for _ in others:
            assert waiting.acquire(timeout=60)
        inner.release.set()
        for thread in (first, *others):
            thread.join()
        assert inner.calls == [("get", "key")]

    def test_a_get_that_begins_after_a_put_does_not_miss_it(self) -> None:
        inner = ScriptedBackend()
        inner.hangs = True
        backend = SingleFlight(inner)
        early = threading.Thread(target=backend.get, args=("key",))
        early.start()
        assert inner.entered.acquire(timeout=60)
        inner.hangs = False
        backend.put("key", b"x")
        assert backend.get("key") == b"x"
        inner.release.set()
        early.join()

    def test_a_forked_child_does_not_wait_for_its_parent(self) -> None:
        inner = ScriptedBackend()
        inner.hangs = True
        backend = SingleFlight(inner)
        thread = threading.Thread(target=backend.get, args=("key",))
        thread.start()
        assert inner.entered.acquire(timeout=60)

        def in_child() -> None:
            inner.hangs = False
            assert backend.get("key") is None

        run_in_child(in_child)
        inner.release.set()
        thread.join()
