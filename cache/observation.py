"""One operation of a cache while it is sampled.

Measurements are noted as plain numbers while the operation runs, and written into its
`CacheSample` in one go when it ends. This is the boundary behind which samples may fail: whatever
raises in making, filling or logging one is counted as a dropped sample under the cache's name,
said once in the log, and forgotten.
"""

import time
from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any

from google.protobuf.duration_pb2 import Duration

from torchstash.cache.counters import cache_counters
from torchstash.cache.operation_notes import OperationNotes, outcome_of
from torchstash.cache.trace_context import current_trace
from torchstash.proto.cache.v1.cache_sample_pb2 import (
    OPERATION_GET,
    OUTCOME_HIT,
    OUTCOME_MISS,
    OUTCOME_STORED,
    CacheSample,
    Operation,
    Outcome,
)

_NS_PER_SECOND = 1_000_000_000


class Observation:
    """From the beginning of an operation to the logging of its sample.

    Of several measurements of one part the first stays: the innermost, where methods nest.

    Attributes:
        sample: What `_create_sample` gave, of any type. Only a `CacheSample` is filled.
        cache: The cache whose operation it is.
    """

    # Of the class, so that an operation sets only what it has. No __slots__ for the same reason.
    _notes: OperationNotes | None = None
    _transport_ns: int | None = None
    _serde_ns: int | None = None
    _value_size_bytes: int | None = None
    _encoded_size_bytes: int | None = None

    def __init__(
        self,
        sample: Any,  # noqa: ANN401 - a subclass's sample is of any type
        cache: object,
        operation: Operation,
        key: str,
        log: Callable[[Any], None],
    ) -> None:
        self._started_ns = time.perf_counter_ns()
        self._started_unix_ns = time.time_ns()
        self.sample = sample
        self.cache = cache
        self._operation = operation
        self._key = key
        self._log = log
        self._token: Token[Observation | None] = _RUNNING.set(self)

    def transported(self, data: object, since_ns: int) -> None:
        """The backend took or gave `data`, or raised (None), and began at `since_ns`."""
        if self._transport_ns is None:
            self._transport_ns = time.perf_counter_ns() - since_ns
            if self._encoded_size_bytes is None:
                self._encoded_size_bytes = _size_bytes(data)

    def converted(self, value: object, data: object, since_ns: int) -> None:
        """The serde turned one into the other, or raised, and began at `since_ns`."""
        if self._serde_ns is None:
            self._serde_ns = time.perf_counter_ns() - since_ns
            self._value_size_bytes = _size_bytes(value)
            self._encoded_size_bytes = _size_bytes(data)

    @property
    def notes(self) -> OperationNotes:
        """What the parts of the backend say. Made when first asked for."""
        if self._notes is None:
            self._notes = OperationNotes()
        return self._notes

    def returned(self, value: object) -> None:
        """The operation returned; `value` is what a get found. Logs the sample."""
        if self._operation != OPERATION_GET:
            self._end(OUTCOME_STORED, None)
        else:
            self._end(OUTCOME_MISS if value is None else OUTCOME_HIT, None)

    def failed(self, error: BaseException) -> None:
        """The operation raised. Logs the sample."""
        self._end(outcome_of(error), error)

    def _end(self, outcome: Outcome, error: BaseException | None) -> None:
        _RUNNING.reset(self._token)
        try:
            if isinstance(self.sample, CacheSample):
                self._fill(self.sample, outcome)
            if error is not None:
                self._set_reason(error)
        except Exception as dropped:  # noqa: BLE001 - the boundary of samples
            drop_sample(type(self.cache).__name__, dropped)
        try:
            self._log(self.sample)
        except Exception as dropped:  # noqa: BLE001 - the boundary of samples
            drop_sample(type(self.cache).__name__, dropped)

    def _fill(self, sample: CacheSample, outcome: Outcome) -> None:
        total_ns = time.perf_counter_ns() - self._started_ns
        sample.operation = self._operation
        key = self._key
        sample.key = key if key.isascii() else _utf8_text(key)
        sample.cache_name = type(self.cache).__name__
        sample.backend_name = engine_name(getattr(self.cache, "backend", None))
        # An override may have set an outcome of its own: that it skipped the backend, say.
        if not sample.outcome:
            sample.outcome = outcome
        trace = current_trace()
        if trace is not None:
            sample.trace_id, sample.span_id = trace
        if self._notes is not None:
            self._fill_notes(sample, self._notes, outcome)
        if self._value_size_bytes is not None:
            sample.value_size_bytes = self._value_size_bytes
        if self._encoded_size_bytes is not None:
            sample.encoded_size_bytes = self._encoded_size_bytes
        start_time = sample.start_time
        start_time.seconds, start_time.nanos = divmod(self._started_unix_ns, _NS_PER_SECOND)
        if total_ns < _NS_PER_SECOND:
            # So are the parts of it. Written out here, because this runs for every operation.
            sample.total_duration.nanos = total_ns
            if self._transport_ns is not None:
                sample.transport_duration.nanos = self._transport_ns
            if self._serde_ns is not None:
                sample.serde_duration.nanos = self._serde_ns
            return
        _set_duration(sample.total_duration, total_ns)
        if self._transport_ns is not None:
            _set_duration(sample.transport_duration, self._transport_ns)
        if self._serde_ns is not None:
            _set_duration(sample.serde_duration, self._serde_ns)

    def _fill_notes(self, sample: CacheSample, notes: OperationNotes, outcome: Outcome) -> None:
        if notes.outcome is not None and outcome in (OUTCOME_MISS, OUTCOME_STORED):
            if sample.outcome == outcome:
                sample.outcome = notes.outcome
            if not sample.fail_reason:
                sample.fail_reason = _utf8_text(notes.reason)
        if notes.tier_name:
            sample.tier_name = notes.tier_name
        if notes.engine_name:
            sample.backend_name = notes.engine_name
        if notes.stored_size_bytes is not None:
            self._encoded_size_bytes = notes.stored_size_bytes
        for name, text in notes.attributes.items():
            sample.attributes[name] = _utf8_text(text)

    def _set_reason(self, error: BaseException) -> None:
        if isinstance(self.sample, CacheSample):
            self.sample.fail_reason = _utf8_text(str(error) or type(error).__name__)
        elif isinstance(error, Exception):
            self.sample.fail_reason = str(error)


_RUNNING: ContextVar[Observation | None] = ContextVar("running", default=None)


def running_observation(cache: object) -> Observation | None:
    """The sampled operation of `cache` that runs in this context."""
    observation = _RUNNING.get()
    return observation if observation is not None and observation.cache is cache else None


def current_notes() -> OperationNotes | None:
    """The notes of the sampled operation that runs in this context, whatever cache's it is."""
    observation = _RUNNING.get()
    return None if observation is None else observation.notes


def engine_name(backend: object) -> str:
    """The engine below any wrappers, as it stands in samples."""
    while True:
        name = getattr(backend, "engine_name", "")
        inner = None if name else getattr(backend, "inner", None)
        if inner is None:
            return name or type(backend).__name__
        backend = inner


def drop_sample(cache_name: str, error: Exception) -> None:
    """Count a sample that was lost, and say so once."""
    # Imported here because it takes longer than all the rest of this layer, and is rarely needed.
    from absl import logging  # noqa: PLC0415

    cache_counters.dropped_sample(cache_name)
    logging.log_first_n(
        logging.WARNING,
        "A sample of %s was dropped, and more may follow unannounced: %s: %s",
        1,
        cache_name,
        type(error).__name__,
        error,
    )


def _set_duration(duration: Duration, elapsed_ns: int) -> None:
    duration.seconds, duration.nanos = divmod(elapsed_ns, _NS_PER_SECOND)


def _utf8_text(text: str) -> str:
    """A text that protobuf takes: lone surrogates are escaped."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _size_bytes(data: object) -> int | None:
    """The size of what has one of its own."""
    if type(data) is bytes:
        return len(data)
    if isinstance(data, memoryview):
        return data.nbytes
    return len(data) if isinstance(data, (bytes, bytearray)) else None
