"""One operation of a cache while it is sampled.

Measurements are noted as plain numbers while the operation runs, and written into its
`CacheSample` in one go when it ends. This is the boundary behind which samples may fail: whatever
raises in making, filling or logging one is counted as a dropped sample under the cache's name,
said once in the log, and forgotten.
"""

from collections.abc import Callable
from contextvars import ContextVar, Token
from time import perf_counter_ns, time_ns
from typing import Any, Final, Protocol, TypeVar

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

T = TypeVar("T")

_NS_PER_SECOND = 1_000_000_000


class Sampled(Protocol):
    """What an operation is of: a cache."""

    # A backend, and the name of its engine: found once, for a chain of wrappers is long.
    _named: tuple[object, str]

    def _log_sample(self, sample: Any) -> None:  # noqa: ANN401 - a subclass's sample is of any type
        """Log it."""


class Observation:
    """From the beginning of an operation to the logging of its sample.

    Attributes:
        sample: What `_create_sample` gave, of any type. Only a `CacheSample` is filled.
        timed: The cache whose operation it is; None while a part of it is timed, so that what is
            called within is not timed twice.
    """

    # Of the class, so that an operation sets only what it has. No __slots__ for the same reason.
    _notes: OperationNotes | None = None
    transport_ns: int | None = None
    serde_ns: int | None = None
    value_size_bytes: int | None = None
    encoded_size_bytes: int | None = None

    def __init__(self, sample: Any, cache: "Sampled") -> None:  # noqa: ANN401 - a subclass's own
        self._started_ns = perf_counter_ns()
        self._started_unix_ns = time_ns()
        self.sample = sample
        self.timed: Sampled | None = cache
        self._cache = cache
        self._token: Token[Observation | None] = RUNNING.set(self)

    def fetch(self, get: Callable[[str], object], key: str) -> object:
        """The data of `key`, by `get` of the backend."""
        started_ns = perf_counter_ns()
        try:
            data = get(key)
        finally:
            self.transport_ns = perf_counter_ns() - started_ns
        self.encoded_size_bytes = size_bytes(data)
        return data

    def store(self, put: Callable[[str, object], None], key: str, data: object) -> None:
        """Keep `data` under `key`, by `put` of the backend."""
        self.encoded_size_bytes = size_bytes(data)
        started_ns = perf_counter_ns()
        try:
            put(key, data)
        finally:
            self.transport_ns = perf_counter_ns() - started_ns

    def decode(self, decode: Callable[[object], T], data: object) -> T:
        """The value that `data` stand for, by `decode` of the serde."""
        started_ns = perf_counter_ns()
        try:
            value = decode(data)
        finally:
            self.serde_ns = perf_counter_ns() - started_ns
        self.value_size_bytes = size_bytes(value)
        return value

    def encode(self, encode: Callable[[T], object], value: T) -> object:
        """The data that stand for `value`, by `encode` of the serde."""
        self.value_size_bytes = size_bytes(value)
        started_ns = perf_counter_ns()
        try:
            return encode(value)
        finally:
            self.serde_ns = perf_counter_ns() - started_ns

    @property
    def notes(self) -> OperationNotes:
        """What the parts of the backend say. Made when first asked for."""
        if self._notes is None:
            self._notes = OperationNotes()
        return self._notes

    def ended(
        self,
        cache_name: str,
        operation: Operation,
        key: str,
        outcome: Outcome,
        error: BaseException | None = None,
    ) -> None:
        """The operation returned, or raised `error`. Logs the sample."""
        RUNNING.reset(self._token)
        sample = self.sample
        try:
            if isinstance(sample, CacheSample):
                sample.cache_name = cache_name
                sample.operation = operation
                sample.key = key if key.isascii() else _utf8_text(key)
                self._fill(sample, outcome)
            if error is not None:
                self._set_reason(error)
        except Exception as dropped:  # noqa: BLE001 - the boundary of samples
            drop_sample(cache_name, dropped)
        try:
            self._cache._log_sample(sample)  # noqa: SLF001 - an override point, which we call
        except Exception as dropped:  # noqa: BLE001 - the boundary of samples
            drop_sample(cache_name, dropped)

    def _fill(self, sample: CacheSample, outcome: Outcome) -> None:
        total_ns = perf_counter_ns() - self._started_ns
        cache = self._cache
        backend = getattr(cache, "backend", None)
        named, backend_name = cache._named  # noqa: SLF001 - of this layer
        if named is not backend:
            backend_name = engine_name(backend)
            cache._named = (backend, backend_name)  # noqa: SLF001
        sample.backend_name = backend_name
        # An override may have set an outcome of its own: that it skipped the backend, say.
        if not sample.outcome:
            sample.outcome = outcome
        trace = current_trace()
        if trace is not None:
            sample.trace_id, sample.span_id = trace
        if self._notes is not None:
            self._fill_notes(sample, self._notes, outcome)
        if self.value_size_bytes is not None:
            sample.value_size_bytes = self.value_size_bytes
        if self.encoded_size_bytes is not None:
            sample.encoded_size_bytes = self.encoded_size_bytes
        start_time, unix_ns = sample.start_time, self._started_unix_ns
        start_time.seconds = unix_ns // _NS_PER_SECOND
        start_time.nanos = unix_ns % _NS_PER_SECOND
        if total_ns < _NS_PER_SECOND:
            # So are the parts of it. Written out here, because this runs for every operation.
            sample.total_duration.nanos = total_ns
            if self.transport_ns is not None:
                sample.transport_duration.nanos = self.transport_ns
            if self.serde_ns is not None:
                sample.serde_duration.nanos = self.serde_ns
            return
        _set_duration(sample.total_duration, total_ns)
        if self.transport_ns is not None:
            _set_duration(sample.transport_duration, self.transport_ns)
        if self.serde_ns is not None:
            _set_duration(sample.serde_duration, self.serde_ns)

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
            self.encoded_size_bytes = notes.stored_size_bytes
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


def size_bytes(data: object) -> int | None:
    """The size of what has one of its own."""
    if type(data) is bytes:
        return len(data)
    if isinstance(data, memoryview):
        return data.nbytes
    return len(data) if isinstance(data, (bytes, bytearray)) else None
