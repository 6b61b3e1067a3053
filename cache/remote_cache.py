"""A cache of values: a backend that keeps data, and a serde that makes data of values.

A `get` or `put` makes a sample (`_create_sample`), does its work through the override points,
counts into `cache_counters` under the name of the cache's class, fills the sample and logs it
(`_log_sample`). The bare cache raises what its backend and its serde raise, after all that;
whatever goes wrong with a sample is counted, said once, and never fails an operation.
"""

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

from torchstash.cache.backend import RemoteCacheBackend
from torchstash.cache.capabilities import ComputeOnce
from torchstash.cache.counters import cache_counters
from torchstash.cache.observation import RUNNING, Observation, drop_sample, size_bytes
from torchstash.cache.operation_notes import outcome_of
from torchstash.cache.serde import RemoteCacheSerde
from torchstash.cache.sinks import SampleSink, default_sink
from torchstash.proto.cache.v1.cache_sample_pb2 import (
    OPERATION_GET,
    OPERATION_PUT,
    OUTCOME_HIT,
    OUTCOME_MISS,
    OUTCOME_STORED,
    CacheSample,
)

T = TypeVar("T")
U = TypeVar("U")

# What a subclass's `_create_sample` gives may be of any type.
Sample: TypeAlias = Any


class RemoteCache(Generic[T]):
    """Values of type `T` by key. As safe for threads as its backend.

    Override `_get` and `_put` (to change keys, say), `_encode` and `_decode`, `_backend_get` and
    `_backend_put`, `_create_sample` and `_log_sample`; each default does the obvious.

    Args:
        backend: Keeps the data.
        serde: Between values and data.
        sink: Takes the samples. None: the sink of `sampling_to`, and where that is none either,
            no samples are made.

    Attributes:
        backend_override_cls: Set on a subclass, makes the backend in place of the one given: for
            tests.
    """

    backend_override_cls: ClassVar[Callable[[], RemoteCacheBackend[Any]] | None] = None

    # Of the class, so that a subclass may forget `super().__init__()`.
    _sink: SampleSink | None = None
    _named: tuple[object, str] = (None, "NoneType")

    def __init__(
        self,
        backend: RemoteCacheBackend[U],
        serde: RemoteCacheSerde[T, U],
        *,
        sink: SampleSink | None = None,
    ) -> None:
        make_backend = type(self).backend_override_cls
        self.backend: RemoteCacheBackend[Any] = backend if make_backend is None else make_backend()
        self.serde: RemoteCacheSerde[T, Any] = serde
        self._sink = sink

    def get(self, key: str) -> T | None:
        """The value of `key`, or None. Raises what the backend and the serde raise."""
        name = type(self).__name__
        observation = self._observe()
        sample = None if observation is None else observation.sample
        try:
            value = self._get(key, sample)
        except BaseException as error:
            if isinstance(error, Exception):
                cache_counters.exception(name)
            if observation is not None:
                observation.ended(name, OPERATION_GET, key, outcome_of(error), error)
            raise
        cache_counters.get(name, value)
        if observation is not None:
            outcome = OUTCOME_MISS if value is None else OUTCOME_HIT
            observation.ended(name, OPERATION_GET, key, outcome)
        return value

    def put(self, key: str, value: T) -> None:
        """Keep `value` under `key`. Raises what the backend and the serde raise.

        Raises:
            ValueError: `value` is None, which stands for "there is no value".
        """
        if value is None:
            raise ValueError(f"None was put under {key!r}, but None stands for no value at all")
        name = type(self).__name__
        observation = self._observe()
        sample = None if observation is None else observation.sample
        try:
            self._put(key, value, sample)
        except BaseException as error:
            if isinstance(error, Exception):
                cache_counters.exception(name)
            if observation is not None:
                observation.ended(name, OPERATION_PUT, key, outcome_of(error), error)
            raise
        cache_counters.put(name)
        if observation is not None:
            observation.ended(name, OPERATION_PUT, key, OUTCOME_STORED)

    def get_or_compute(self, key: str, compute: Callable[[], T]) -> T:
        """The value of `key`; where there is none, what `compute` returns, which is put.

        Where the backend has single flight with leases, one of many that ask at once computes, and
        the others wait for its value; they are told if it raises.

        Raises:
            ValueError: `compute` returned None.
            Exception: What `get` and `put` raise, and what `compute` raises.
        """
        value = self.get(key)
        if value is not None:
            return value
        try:
            computed = compute()
            self.put(key, computed)
        except BaseException:
            if isinstance(self.backend, ComputeOnce):
                self.backend.abandon(key)
            raise
        return computed

    def _observe(self) -> Observation | None:
        try:
            sample = self._create_sample()
        except Exception as error:  # noqa: BLE001 - the boundary of samples
            drop_sample(type(self).__name__, error)
            return None
        return None if sample is None else Observation(sample, self)

    def _create_sample(self) -> Sample | None:
        """A new sample of one operation, or None: it is not sampled. Override to make your own."""
        return None if self._sink is None and default_sink() is None else CacheSample()

    def _log_sample(self, sample: Sample) -> None:
        """Log what `_create_sample` gave. Override to log it elsewhere."""
        sink = default_sink() if self._sink is None else self._sink
        if sink is not None and isinstance(sample, CacheSample):
            sink.log(sample)

    def _get(self, key: str, sample: Sample | None) -> T | None:
        """Get a value. Override to change the key, or what is done about errors."""
        observation = RUNNING.get()
        if observation is None or observation.timed is not self:
            data = self._backend_get(key)
            return None if data is None else self._decode(data, sample)
        # Both are timed here, overridden or not, so they need not do it themselves.
        observation.timed = None
        try:
            asked_ns = perf_counter_ns()
            try:
                data = self._backend_get(key)
            finally:
                answered_ns = perf_counter_ns()
                observation.transport_ns = answered_ns - asked_ns
            if data is None:
                return None
            observation.encoded_size_bytes = size_bytes(data)
            try:
                value = self._decode(data, sample)
            finally:
                observation.serde_ns = perf_counter_ns() - answered_ns
            observation.value_size_bytes = size_bytes(value)
            return value
        finally:
            observation.timed = self

    def _put(self, key: str, value: T, sample: Sample | None) -> None:
        """Put a value. Override to change the key, or what is done about errors."""
        observation = RUNNING.get()
        if observation is None or observation.timed is not self:
            self._backend_put(key, self._encode(value, sample))
            return
        observation.timed = None
        observation.value_size_bytes = size_bytes(value)
        try:
            started_ns = perf_counter_ns()
            try:
                data = self._encode(value, sample)
            finally:
                encoded_ns = perf_counter_ns()
                observation.serde_ns = encoded_ns - started_ns
            observation.encoded_size_bytes = size_bytes(data)
            try:
                self._backend_put(key, data)
            finally:
                observation.transport_ns = perf_counter_ns() - encoded_ns
        finally:
            observation.timed = self

    # Those that follow time themselves where an override calls them in place of the two above.

    def _decode(self, data: object, sample: Sample | None) -> T:
        """The value that `data` stand for."""
        observation = RUNNING.get()
        if observation is None or observation.timed is not self:
            return self.serde.decode(data)
        return observation.decode(self.serde.decode, data)

    def _encode(self, value: T, sample: Sample | None) -> object:
        """The data that stand for `value`."""
        observation = RUNNING.get()
        if observation is None or observation.timed is not self:
            return self.serde.encode(value)
        return observation.encode(self.serde.encode, value)

    def _backend_get(self, key: str) -> object:
        """The data of `key`, or None."""
        observation = RUNNING.get()
        if observation is None or observation.timed is not self:
            return self.backend.get(key)
        return observation.fetch(self.backend.get, key)

    def _backend_put(self, key: str, data: object) -> None:
        """Keep `data` under `key`."""
        observation = RUNNING.get()
        if observation is None or observation.timed is not self:
            self.backend.put(key, data)
        else:
            observation.store(self.backend.put, key, data)
