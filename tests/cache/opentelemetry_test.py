from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from torchstash.cache import (
    CacheSample,
    MemoryBackend,
    MemorySink,
    RemoteCache,
    RemoteCachePassthroughSerde,
)
from torchstash.cache.opentelemetry import OpenTelemetrySink
from torchstash.proto.cache.v1 import cache_sample_pb2 as pb
from torchstash.tests.cache.child_process import run_python


class Recorded:
    """Providers of a test's own, and what they were given."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self._exporter = InMemorySpanExporter()
        self.meters = MeterProvider([self._reader])
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))

    def sink(self, *, record_keys: bool = False) -> OpenTelemetrySink:
        return OpenTelemetrySink(
            meter_provider=self.meters, tracer_provider=self.tracers, record_keys=record_keys
        )

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    @property
    def points(self) -> dict[str, list[Any]]:
        """Data points by the metric's name and unit."""
        data = self._reader.get_metrics_data()
        assert data is not None
        found = [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics]
        return {f"{metric.name} {metric.unit}": list(metric.data.data_points) for metric in found}


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


def _failed() -> CacheSample:
    sample = CacheSample(
        cache_name="Tunings",
        backend_name="redis",
        operation=pb.OPERATION_GET,
        key="secret",
        outcome=pb.OUTCOME_TIMED_OUT,
        fail_reason="slow",
        tier_name="far",
        attributes={"breaker": "open"},
    )
    sample.start_time.FromNanoseconds(1_700_000_000_123_456_789)
    sample.total_duration.FromMilliseconds(1500)
    return sample


def test_a_span_has_what_the_conventions_ask_for(recorded: Recorded) -> None:
    recorded.sink().log(_failed())
    (span,) = recorded.spans
    assert span.name == "get Tunings"
    assert span.kind is SpanKind.CLIENT
    assert span.start_time == 1_700_000_000_123_456_789
    assert span.end_time == 1_700_000_001_623_456_789
    assert dict(span.attributes or {}) == {
        "db.system.name": "redis",
        "db.operation.name": "get",
        "db.collection.name": "Tunings",
        "error.type": "timed_out",
        "torchstash.cache.outcome": "timed_out",
        "torchstash.cache.tier": "far",
        "torchstash.cache.breaker": "open",
    }
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "slow"


def test_durations_and_sizes(recorded: Recorded) -> None:
    cache: RemoteCache[bytes] = RemoteCache(
        MemoryBackend(), RemoteCachePassthroughSerde(), sink=recorded.sink()
    )
    cache.put("key", bytes(1000))
    cache.get("key")
    cache.get("absent")
    points = recorded.points
    durations = points["db.client.operation.duration s"]
    outcomes = {point.attributes["torchstash.cache.outcome"]: point.count for point in durations}
    assert outcomes == {"stored": 1, "hit": 1, "miss": 1}
    assert all(point.attributes["db.system.name"] == "memory" for point in durations)
    assert not any("error.type" in point.attributes for point in durations)
    sizes = points["torchstash.cache.value.size By"]
    assert sorted(point.sum for point in sizes) == [1000, 1000]
    assert [span.name for span in recorded.spans] == [
        "put RemoteCache",
        "get RemoteCache",
        "get RemoteCache",
    ]
    assert all(span.status.status_code is StatusCode.UNSET for span in recorded.spans)


def test_a_span_is_a_child_of_the_callers(recorded: Recorded) -> None:
    cache: RemoteCache[bytes] = RemoteCache(
        MemoryBackend(), RemoteCachePassthroughSerde(), sink=recorded.sink()
    )
    tracer = trace.get_tracer("test", tracer_provider=recorded.tracers)
    with tracer.start_as_current_span("compile") as parent:
        cache.get("key")
    span = recorded.spans[0]
    assert span.parent is not None
    assert span.parent.span_id == parent.get_span_context().span_id


def test_keys_are_recorded_only_where_asked_for(recorded: Recorded) -> None:
    recorded.sink(record_keys=True).log(_failed())
    assert (recorded.spans[0].attributes or {})["torchstash.cache.key"] == "secret"


def test_numbers_of_a_newer_schema(recorded: Recorded) -> None:
    recorded.sink().log(CacheSample.FromString(b"\x28\x63\x38\x63"))
    assert recorded.spans[0].name.startswith("99 ")


def test_without_an_sdk_nothing_happens() -> None:
    OpenTelemetrySink().log(_failed())


def test_samples_tell_which_span_asked(recorded: Recorded) -> None:
    sink = MemorySink()
    cache: RemoteCache[bytes] = RemoteCache(
        MemoryBackend(), RemoteCachePassthroughSerde(), sink=sink
    )
    cache.put("key", b"x")
    with recorded.tracers.get_tracer("test").start_as_current_span("compile") as span:
        cache.get("key")
    outside, inside = sink.samples
    assert (outside.trace_id, outside.span_id) == (b"", b"")
    context = span.get_span_context()
    assert inside.trace_id.hex() == trace.format_trace_id(context.trace_id)
    assert inside.span_id.hex() == trace.format_span_id(context.span_id)


def test_a_program_that_does_not_trace_imports_no_tracing() -> None:
    code = """
import sys
from torchstash.cache import MemoryBackend, MemorySink, RemoteCache, RemoteCachePassthroughSerde
sink = MemorySink()
RemoteCache(MemoryBackend(), RemoteCachePassthroughSerde(), sink=sink).get("key")
print(sink.samples[0].trace_id, "opentelemetry" in sys.modules)
"""
    assert run_python(code) == "b'' False\n"
