import threading
from typing import Any

import pytest
from typing_extensions import override

from torchstash.cache import (
    CacheCount,
    CacheSample,
    CorruptEntryError,
    MemoryBackend,
    MemorySink,
    RemoteCache,
    RemoteCacheBackend,
    RemoteCacheJsonSerde,
    RemoteCachePassthroughSerde,
    SampleSink,
    cache_counters,
    sampling_to,
)
from torchstash.proto.cache.v1 import cache_sample_pb2 as pb
from torchstash.tests.cache.fake_backend import FakeBackend


def _cache(backend: RemoteCacheBackend[Any], sink: SampleSink | None = None) -> RemoteCache[Any]:
    return RemoteCache(backend, RemoteCachePassthroughSerde(), sink=sink)


def _nanos(duration: Any) -> int:
    return int(duration.seconds * 10**9 + duration.nanos)


@pytest.mark.parametrize("value", [b"", 0, "", [], {}, False, 0.0])
def test_falsy_values_are_values(value: object) -> None:
    sink = MemorySink()
    cache = _cache(FakeBackend(), sink)
    cache.put("key", value)
    assert cache.get("key") == value
    assert [sample.outcome for sample in sink.samples] == [pb.OUTCOME_STORED, pb.OUTCOME_HIT]


def test_none_is_no_value() -> None:
    sink = MemorySink()
    with pytest.raises(ValueError, match="None was put under 'key'"):
        _cache(FakeBackend(), sink).put("key", None)
    assert sink.samples == []


class TestSamples:
    def test_a_put_a_hit_and_a_miss(self) -> None:
        sink = MemorySink()
        cache: RemoteCache[Any] = RemoteCache(MemoryBackend(), RemoteCacheJsonSerde(), sink=sink)
        cache.put("k\u00e9y", {"a": 1})
        assert cache.get("k\u00e9y") == {"a": 1}
        assert cache.get("absent") is None
        put, hit, miss = sink.samples
        for sample, operation, outcome in (
            (put, pb.OPERATION_PUT, pb.OUTCOME_STORED),
            (hit, pb.OPERATION_GET, pb.OUTCOME_HIT),
            (miss, pb.OPERATION_GET, pb.OUTCOME_MISS),
        ):
            assert sample.operation == operation
            assert sample.outcome == outcome
            assert sample.cache_name == "RemoteCache"
            assert sample.backend_name == "memory"
            assert sample.fail_reason == ""
            assert sample.start_time.seconds > 1_600_000_000
            parts = _nanos(sample.transport_duration) + _nanos(sample.serde_duration)
            assert 0 < parts <= _nanos(sample.total_duration)
        assert put.key == hit.key == "k\u00e9y"
        assert put.encoded_size_bytes == hit.encoded_size_bytes == len(b'{"a": 1}')
        assert not put.HasField("value_size_bytes")
        assert not miss.HasField("encoded_size_bytes")
        assert not miss.HasField("serde_duration")

    def test_values_with_a_size_of_their_own_tell_it(self) -> None:
        sink = MemorySink()
        cache = _cache(MemoryBackend(), sink)
        for value in (b"", b"12345", bytearray(7), memoryview(bytes(9))):
            cache.put("key", value)
            cache.get("key")
        put_sizes = [s.value_size_bytes for s in sink.samples[0::2]]
        get_sizes = [s.value_size_bytes for s in sink.samples[1::2]]
        assert put_sizes == get_sizes == [0, 5, 7, 9]
        assert all(sample.HasField("value_size_bytes") for sample in sink.samples)

    @pytest.mark.parametrize(
        ("error", "outcome", "reason"),
        [
            (RuntimeError("on fire"), pb.OUTCOME_FAILED, "on fire"),
            (TimeoutError("5 s"), pb.OUTCOME_TIMED_OUT, "5 s"),
            (CorruptEntryError("key", "one bit"), pb.OUTCOME_REJECTED, "one bit"),
            (RuntimeError(), pb.OUTCOME_FAILED, "RuntimeError"),
            (RuntimeError("\ud800"), pb.OUTCOME_FAILED, "\\ud800"),
            (KeyboardInterrupt(), pb.OUTCOME_FAILED, "KeyboardInterrupt"),
        ],
    )
    def test_failures(self, error: BaseException, outcome: int, reason: str) -> None:
        sink, backend = MemorySink(), FakeBackend()
        backend.error = error
        cache = _cache(backend, sink)
        with pytest.raises(type(error)):
            cache.get("key")
        with pytest.raises(type(error)):
            cache.put("key", b"123")
        get, put = sink.samples
        assert get.outcome == put.outcome == outcome
        assert reason in get.fail_reason
        assert reason in put.fail_reason
        assert put.encoded_size_bytes == 3
        assert get.HasField("transport_duration")
        assert put.HasField("transport_duration")

    def test_a_value_that_cannot_be_decoded_or_encoded(self) -> None:
        sink, backend = MemorySink(), FakeBackend({"key": b"{"})
        cache: RemoteCache[Any] = RemoteCache(backend, RemoteCacheJsonSerde(), sink=sink)
        with pytest.raises(ValueError, match="Expecting"):
            cache.get("key")
        with pytest.raises(TypeError):
            cache.put("key", object())
        get, put = sink.samples
        assert get.outcome == put.outcome == pb.OUTCOME_FAILED
        assert get.encoded_size_bytes == 1
        assert get.HasField("serde_duration")
        assert not put.HasField("encoded_size_bytes")
        assert not put.HasField("transport_duration")

    def test_keys_that_are_no_text_for_protobuf(self) -> None:
        sink = MemorySink()
        _cache(FakeBackend(), sink).get("a\ud800b")
        assert sink.samples[0].key == "a\\ud800b"

    def test_none_are_made_without_a_sink(self) -> None:
        assert _cache(FakeBackend())._create_sample() is None

    def test_the_sink_of_the_context(self) -> None:
        near, far = MemorySink(), MemorySink()
        cache, with_own = _cache(FakeBackend()), _cache(FakeBackend(), near)
        with sampling_to(far):
            cache.get("a")
            with_own.get("b")
            with sampling_to(None):
                cache.get("c")
            thread = threading.Thread(target=cache.get, args=("d",))
            thread.start()
            thread.join()
        cache.get("e")
        assert [sample.key for sample in far.samples] == ["a"]
        assert [sample.key for sample in near.samples] == ["b"]

    def test_caches_inside_caches_keep_their_samples_apart(self) -> None:
        inner_sink, outer_sink = MemorySink(), MemorySink()
        inner = _cache(FakeBackend({"key": b"12345"}), inner_sink)

        class Outer(RemoteCacheBackend[bytes]):
            @override
            def _get(self, key: str) -> bytes | None:
                value: bytes | None = inner.get(key)
                return value and value + b"6"

            @override
            def _put(self, key: str, data: bytes) -> None:
                inner.put(key, data)

        cache = _cache(Outer(), outer_sink)
        assert cache.get("key") == b"123456"
        assert inner_sink.samples[0].encoded_size_bytes == 5
        assert outer_sink.samples[0].encoded_size_bytes == 6
        assert outer_sink.samples[0].backend_name == "Outer"


class TestOverrides:
    def test_samples_are_filled_however_little_of_ours_runs(self) -> None:
        class Other(RemoteCache[Any]):
            @override
            def _get(self, key: str, sample: Any) -> Any:
                data = self._backend_get("prefix/" + key)
                return None if data is None else self._decode(data, sample)

            @override
            def _put(self, key: str, value: Any, sample: Any) -> None:
                self._backend_put("prefix/" + key, self._encode(value, sample))

        class Inner(RemoteCache[Any]):
            @override
            def _decode(self, data: Any, sample: Any) -> Any:
                return data[::-1]

            @override
            def _encode(self, value: Any, sample: Any) -> Any:
                return value[::-1]

            @override
            def _backend_get(self, key: str) -> Any:
                return self.backend._get(key)

            @override
            def _backend_put(self, key: str, data: Any) -> None:
                self.backend._put(key, data)

        for kind in (Other, Inner):
            sink = MemorySink()
            cache = kind(FakeBackend(), RemoteCachePassthroughSerde(), sink=sink)
            cache.put("key", b"123")
            assert cache.get("key") == b"123"
            for sample in sink.samples:
                assert sample.key == "key"
                assert sample.cache_name == kind.__name__
                assert sample.value_size_bytes == 3
                assert sample.encoded_size_bytes == 3
                assert sample.HasField("transport_duration")
                assert sample.HasField("serde_duration")

    def test_an_outcome_that_an_override_sets_stays(self) -> None:
        class ReadOnly(RemoteCache[Any]):
            @override
            def _put(self, key: str, value: Any, sample: Any) -> None:
                sample.outcome = pb.OUTCOME_SKIPPED
                sample.tier_name = "near"

        sink = MemorySink()
        ReadOnly(FakeBackend(), RemoteCachePassthroughSerde(), sink=sink).put("key", b"x")
        assert sink.samples[0].outcome == pb.OUTCOME_SKIPPED
        assert sink.samples[0].tier_name == "near"

    def test_a_subclass_may_make_and_log_samples_of_ours(self) -> None:
        logged: list[CacheSample] = []

        class Mine(RemoteCache[Any]):
            @override
            def _create_sample(self) -> CacheSample:
                return CacheSample(trace_id=b"x" * 16)

            @override
            def _log_sample(self, sample: Any) -> None:
                logged.append(sample)

        Mine(FakeBackend(), RemoteCachePassthroughSerde()).get("key")
        assert logged[0].trace_id == b"x" * 16
        assert logged[0].outcome == pb.OUTCOME_MISS

    def test_a_subclass_may_forget_the_constructor(self) -> None:
        class Bare(RemoteCache[Any]):
            def __init__(self) -> None:
                self.backend = FakeBackend()
                self.serde = RemoteCachePassthroughSerde()

        Bare().put("key", b"x")
        with sampling_to(sink := MemorySink()):
            Bare().get("key")
        assert sink.samples[0].cache_name == "Bare"


class _Broken(SampleSink):
    @override
    def log(self, sample: CacheSample) -> None:
        raise OSError("the disk of the sink is full")


class TestSamplesThatFail:
    """Each names its cache differently, for counters are of the whole process."""

    def test_a_failing_sink(self) -> None:
        class FailingSinkCache(RemoteCache[Any]):
            pass

        backend = FakeBackend()
        cache = FailingSinkCache(backend, RemoteCachePassthroughSerde(), sink=_Broken())
        cache.put("key", b"x")
        assert cache.get("key") == b"x"
        backend.error = RuntimeError("the backend's own")
        with pytest.raises(RuntimeError, match="the backend's own"):
            cache.get("key")
        assert cache_counters.snapshot()["FailingSinkCache"] == CacheCount(
            hit=1, put=1, exception=1, dropped_sample=3
        )

    def test_a_sample_that_cannot_be_made(self) -> None:
        class NoSampleCache(RemoteCache[Any]):
            @override
            def _create_sample(self) -> Any:
                raise RuntimeError("no sample today")

        cache = NoSampleCache(FakeBackend({"key": b"x"}), RemoteCachePassthroughSerde())
        assert cache.get("key") == b"x"
        assert cache_counters.snapshot()["NoSampleCache"] == CacheCount(hit=1, dropped_sample=1)

    def test_a_sample_that_takes_no_reason(self) -> None:
        logged: list[object] = []

        class FrozenSampleCache(RemoteCache[Any]):
            @override
            def _create_sample(self) -> Any:
                return object()

            @override
            def _log_sample(self, sample: Any) -> None:
                logged.append(sample)

        backend = FakeBackend()
        backend.error = RuntimeError("the backend's own")
        cache = FrozenSampleCache(backend, RemoteCachePassthroughSerde())
        with pytest.raises(RuntimeError, match="the backend's own"):
            cache.get("key")
        assert len(logged) == 1
        assert cache_counters.snapshot()["FrozenSampleCache"] == CacheCount(
            exception=1, dropped_sample=1
        )

    def test_an_error_that_cannot_be_told(self) -> None:
        class MuteError(Exception):
            @override
            def __str__(self) -> str:
                raise RuntimeError("cannot say")

        backend, sink = FakeBackend(), MemorySink()
        backend.error = MuteError()
        with pytest.raises(MuteError):
            _cache(backend, sink).get("key")
        assert sink.samples[0].outcome == pb.OUTCOME_FAILED
