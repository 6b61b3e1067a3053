"""One operation of a cache while it is sampled.

Measurements are noted as plain numbers while the operation runs, and written into its
`CacheSample` in one go when it ends. This is the boundary behind which samples may fail: whatever
raises in making, filling or logging one is counted as a dropped sample under the cache's name,
said once in the log, and forgotten.
"""

from contextvars import ContextVar, Token
from time import perf_counter_ns, time_ns
from typing import Any, Final, Protocol

from google.protobuf.duration_pb2 import Duration

from torchstash.cache.counters import cache_counters
from torchstash.cache.operation_notes import OperationNotes
from torchstash.cache.trace_context import current_trace
from torchstash.proto.cache.v1.cache_sample_pb2 import (
    OUTCOME_MISS,
    OUTCOME_STORED,
    CacheSample,
    Operation,
    Outcome,
)

_NS_PER_SECOND = 1_000_000_000


class Sampled(Protocol):
    """What an operation is of: a cache."""

    # A backend, and the name of its engine: found once, for a chain of wrappers is long.
    _named: tuple[object, str]

    def _log_sample(self, sample: Any) -> None:  # noqa: ANN401 - a subclass's sample is of any type
        """Log it."""


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
        cache: "Sampled",
        operation: Operation,
        key: str,
    ) -> None:
        self._started_ns = perf_counter_ns()
        self._started_unix_ns = time_ns()
        self.sample = sample
        self.cache = cache
        self._operation = operation
        self._key = key
        self._token: Token[Observation | None] = RUNNING.set(self)

    def transported(self, data: object, since_ns: int) -> None:
        """The backend took or gave `data`, or raised (None), and began at `since_ns`."""
        if self._transport_ns is None:
            self._transport_ns = perf_counter_ns() - since_ns
            if self._encoded_size_bytes is None:
                self._encoded_size_bytes = len(data) if type(data) is bytes else _size_bytes(data)

    def converted(self, value: object, data: object, since_ns: int) -> None:
        """The serde turned one into the other, or raised, and began at `since_ns`."""
        if self._serde_ns is None:
            self._serde_ns = perf_counter_ns() - since_ns
            # Written out, because this runs for every operation.
            self._value_size_bytes = len(value) if type(value) is bytes else _size_bytes(value)
            self._encoded_size_bytes = len(data) if type(data) is bytes else _size_bytes(data)

    @property
    def notes(self) -> OperationNotes:
        """What the parts of the backend say. Made when first asked for."""
        if self._notes is None:
            self._notes = OperationNotes()
        return self._notes

    def ended(self, outcome: Outcome, error: BaseException | None = None) -> None:
        """The operation returned, or raised `error`. Logs the sample."""
        RUNNING.reset(self._token)
        sample = self.sample
        try:
            if isinstance(sample, CacheSample):
                self._fill(sample, outcome)
            if error is not None:
                self._set_reason(error)
        except Exception as dropped:  # noqa: BLE001 - the boundary of samples
            drop_sample(type(self.cache).__name__, dropped)
        try:
            self.cache._log_sample(sample)  # noqa: SLF001 - an override point, which we call
        except Exception as dropped:  # noqa: BLE001 - the boundary of samples
            drop_sample(type(self.cache).__name__, dropped)

    def _fill(self, sample: CacheSample, outcome: Outcome) -> None:
        total_ns = perf_counter_ns() - self._started_ns
        cache = self.cache
        key = self._key
        sample.operation = self._operation
        sample.key = key if key.isascii() else _utf8_text(key)
        sample.cache_name = type(cache).__name__
        backend = getattr(cache, "backend", None)
        if cache._named[0] is not backend:  # noqa: SLF001 - of this layer
            cache._named = (backend, engine_name(backend))  # noqa: SLF001
        sample.backend_name = cache._named[1]  # noqa: SLF001
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


# The sampled operation that runs in this context, of whatever cache.
RUNNING: Final[ContextVar[Observation | None]] = ContextVar("running", default=None)


def current_notes() -> OperationNotes | None:
    """The notes of the sampled operation that runs in this context, whatever cache's it is."""
    observation = RUNNING.get()
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
