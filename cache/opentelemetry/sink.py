"""Samples as metrics and spans of OpenTelemetry, by its semantic conventions for database clients.

    metric  db.client.operation.duration   histogram, seconds
    metric  torchstash.cache.value.size    histogram, bytes: as the engine keeps values
    span    "get <cache>" or "put <cache>", of kind CLIENT, from the beginning of the operation

Both have `db.system.name` (the engine), `db.operation.name`, `db.collection.name` (the cache), and
`error.type` where the operation did not end well; beside them, for what the conventions have no
name, `torchstash.cache.outcome` and `torchstash.cache.tier`. Conventions: opentelemetry.io,
"Semantic conventions for database client metrics" and "... spans", 1.33.

A span is a child of the one that is current where the operation ran. Keys are in spans only if
asked for: they can hold what should not leave the machine. Nothing is exported by this module:
that is the SDK's, which the program sets up.
"""

from collections.abc import Callable
from typing import Final

from opentelemetry import metrics, trace
from opentelemetry.trace import SpanKind, Status, StatusCode
from typing_extensions import override

from torchstash.cache.sinks import SampleSink
from torchstash.proto.cache.v1.cache_sample_pb2 import (
    OUTCOME_FAILED,
    OUTCOME_REJECTED,
    OUTCOME_TIMED_OUT,
    CacheSample,
    Operation,
    Outcome,
)

_SCOPE: Final = "torchstash.cache"
# Of the conventions for this metric, and finer below: a near tier answers in microseconds.
_BUCKETS_SECONDS: Final = (
    *(1e-6, 1e-5, 1e-4, 5e-4),
    *(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0),
)
_ERRORS: Final = (OUTCOME_FAILED, OUTCOME_REJECTED, OUTCOME_TIMED_OUT)


class OpenTelemetrySink(SampleSink):
    """Records samples with the given providers, or with those of the process.

    Args:
        meter_provider: None: the global one.
        tracer_provider: None: the global one.
        record_keys: Whether keys stand in spans, as `torchstash.cache.key`.
    """

    def __init__(
        self,
        *,
        meter_provider: metrics.MeterProvider | None = None,
        tracer_provider: trace.TracerProvider | None = None,
        record_keys: bool = False,
    ) -> None:
        meter = metrics.get_meter(_SCOPE, meter_provider=meter_provider)
        self._duration = meter.create_histogram(
            "db.client.operation.duration",
            unit="s",
            description="Duration of cache operations.",
            explicit_bucket_boundaries_advisory=_BUCKETS_SECONDS,
        )
        self._size = meter.create_histogram(
            "torchstash.cache.value.size",
            unit="By",
            description="Size of values as their engine keeps them.",
        )
        self._tracer = trace.get_tracer(_SCOPE, tracer_provider=tracer_provider)
        self._record_keys = record_keys

    @override
    def log(self, sample: CacheSample) -> None:
        attributes = _attributes(sample)
        duration = sample.total_duration
        self._duration.record(duration.seconds + duration.nanos / 1e9, attributes)
        if sample.HasField("encoded_size_bytes"):
            self._size.record(sample.encoded_size_bytes, attributes)
        self._trace(sample, attributes)

    def _trace(self, sample: CacheSample, attributes: dict[str, str]) -> None:
        start_ns = sample.start_time.seconds * 10**9 + sample.start_time.nanos
        duration_ns = sample.total_duration.seconds * 10**9 + sample.total_duration.nanos
        span = self._tracer.start_span(
            f"{attributes['db.operation.name']} {sample.cache_name}",
            kind=SpanKind.CLIENT,
            attributes=dict(attributes),
            start_time=start_ns,
        )
        if span.is_recording():
            for name, text in sample.attributes.items():
                span.set_attribute(f"torchstash.cache.{name}", text)
            if self._record_keys:
                span.set_attribute("torchstash.cache.key", sample.key)
            if sample.outcome in _ERRORS:
                span.set_status(Status(StatusCode.ERROR, sample.fail_reason))
        span.end(start_ns + duration_ns)


def _attributes(sample: CacheSample) -> dict[str, str]:
    outcome = _name(Outcome.Name, sample.outcome, "OUTCOME_")
    attributes = {
        "db.system.name": sample.backend_name,
        "db.operation.name": _name(Operation.Name, sample.operation, "OPERATION_"),
        "db.collection.name": sample.cache_name,
        "torchstash.cache.outcome": outcome,
    }
    if sample.tier_name:
        attributes["torchstash.cache.tier"] = sample.tier_name
    if sample.outcome in _ERRORS:
        attributes["error.type"] = outcome
    return attributes


def _name(name_of: Callable[[int], str], number: int, prefix: str) -> str:
    """The name of an enum's value; a newer schema's numbers stay numbers."""
    try:
        return name_of(number).removeprefix(prefix).lower()
    except ValueError:
        return str(number)
