"""A deadline and a breaker around a backend that may fail or hang.

What it promises: a caller waits for the backend no longer than `timeouts` allow, and for a backend
that is down no longer than `limits.lost_seconds` in all; from then on it is told so at once, until
a probe has found the backend well again. Probes run in a thread of their own: no caller waits for
them. Faults leave as exceptions; `Forgiving` makes misses of them.

A backend that keeps its own deadlines (`SelfTimed`) is called directly while it is well: another
thread would cost more than a local server. docs/adr/0013 tells when it is not.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import ClassVar, TypeVar

from typing_extensions import Buffer, override

from torchstash.cache.backend import RemoteCacheBackend
from torchstash.cache.buffers import whole_bytes
from torchstash.cache.capabilities import InTwoParts, Listable, SelfTimed
from torchstash.cache.errors import (
    BackendFullError,
    BackendReadOnlyError,
    BackendSettingsError,
    BackendSkippedError,
    CorruptEntryError,
    InvalidKeyError,
)
from torchstash.cache.network import Timeouts
from torchstash.cache.observation import current_notes, engine_name
from torchstash.cache.wrappers.bounded_calls import BoundedCalls
from torchstash.cache.wrappers.breaker import Admission, Breaker, BreakerLimits
from torchstash.cache.wrappers.wrapper import Wrapper

T = TypeVar("T")

# The backend answered, and what it said tells nothing of how well it is.
_ANSWERS = (
    BackendFullError,
    BackendReadOnlyError,
    BackendSettingsError,
    CorruptEntryError,
    InvalidKeyError,
)
# A connection that was idle for longer may be gone, and the next operation begin with a name
# look-up, which no engine can bound.
_IDLE_SECONDS = 30.0
# A call that took longer than this times its budget was not timed by the backend.
_OVERRUN = 2.0


class Guarded(Wrapper):
    """`inner` with a deadline and a breaker.

    Args:
        inner: May fail or hang.
        timeouts: What each operation is given. How large a value will be is not known before it is
            there: a get is given the time of the largest one so far.
        limits: Of the breaker.
        max_threads: How many calls may run, or hang, in threads at once.
        clock: Seconds that only grow.

    Raises (beside what `inner` raises):
        BackendTimeoutError: The time was up.
        BackendSkippedError: The breaker is open.
        BackendBusyError: Too many calls hang.
    """

    # A list of no known length has no deadline.
    honours: ClassVar[frozenset[type]] = (Wrapper.honours | {InTwoParts}) - {Listable}

    def __init__(
        self,
        inner: RemoteCacheBackend[bytes],
        *,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
        limits: BreakerLimits = BreakerLimits(),  # noqa: B008 - frozen
        max_threads: int = 16,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(inner)
        self._timeouts = timeouts
        self._limits = limits
        self._breaker = Breaker(limits, clock=clock)
        self._calls = BoundedCalls(max_threads)
        self._clock = clock
        self._engine = engine_name(inner)
        self._is_self_timed = isinstance(inner, SelfTimed)
        # Until when the backend is called directly.
        self._trusted_until = float("-inf")
        self._largest_bytes = 0

    @property
    def breaker(self) -> Breaker:
        """Its breaker."""
        return self._breaker

    @property
    def abandoned_calls(self) -> int:
        """Calls that were given up while they ran."""
        return self._calls.abandoned

    @override
    def _get(self, key: str) -> bytes | None:
        value = self._run(partial(self.inner.get, key), self._largest_bytes, "a get")
        if value is not None and len(value) > self._largest_bytes:
            self._largest_bytes = len(value)
        return value

    @override
    def _put(self, key: str, data: Buffer) -> None:
        # A put that is given up may still read it, and its caller may change it then.
        value = data if isinstance(data, bytes) else bytes(data)
        self._run(partial(self.inner.put, key, value), len(value), "a put")
        self._largest_bytes = max(self._largest_bytes, len(value))

    @override
    def _get_parts(self, key: str, head_bytes: int) -> tuple[bytes, bytes] | None:
        work = partial(super()._get_parts, key, head_bytes)
        parts = self._run(work, self._largest_bytes, "a get")
        if parts is not None:
            self._largest_bytes = max(self._largest_bytes, len(parts[0]) + len(parts[1]))
        return parts

    @override
    def _put_parts(self, key: str, head: bytes, body: bytes | memoryview) -> None:
        kept = whole_bytes(body) if isinstance(body, memoryview) else body
        size_bytes = len(head) + len(kept)
        work = partial(super()._put_parts, key, head, kept)
        self._run(work, size_bytes, "a put")
        self._largest_bytes = max(self._largest_bytes, size_bytes)

    @override
    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        names = list(keys)
        work = partial(super().get_many, names)
        return self._run(work, self._largest_bytes * len(names), "a get of many")

    @override
    def put_many(self, values: Mapping[str, bytes]) -> None:
        kept = {key: bytes(data) for key, data in values.items()}
        size_bytes = sum(map(len, kept.values()))
        self._run(partial(super().put_many, kept), size_bytes, "a put of many")

    @override
    def _contains(self, key: str) -> bool:
        return self._run(partial(super()._contains, key), 0, "a look-up")

    @override
    def _delete(self, key: str) -> bool:
        return self._run(partial(super()._delete, key), 0, "a deletion")

    @override
    def _put_if_absent(self, key: str, data: Buffer) -> bool:
        value = bytes(data)
        work = partial(super()._put_if_absent, key, value)
        return self._run(work, len(value), "a put if absent")

    @override
    def _acquire_lease(self, key: str, holder: bytes, life_seconds: float) -> bool:
        work = partial(super()._acquire_lease, key, holder, life_seconds)
        return self._run(work, 0, "a claim")

    @override
    def _release_lease(self, key: str, holder: bytes) -> None:
        self._run(partial(super()._release_lease, key, holder), 0, "the end of a claim")

    def _run(self, work: Callable[[], T], size_bytes: int, doing: str) -> T:
        if self._breaker.is_open():
            self._skip_or_probe(work, doing)
        budget = self._timeouts.for_bytes(size_bytes)
        started = self._clock()
        try:
            seconds_left = self._breaker.seconds_left
            # The backend's own deadline comes too late where some time was lost already.
            is_in_time = seconds_left >= min(budget, self._limits.lost_seconds)
            if started < self._trusted_until and is_in_time:
                result = work()
            else:
                budget = min(budget + self._timeouts.connect_seconds, seconds_left)
                result = self._calls.run(work, budget, f"{doing} by {self._engine}")
        except _ANSWERS:
            self._answered(started, budget)
            raise
        except Exception:
            self._failed(started)
            raise
        self._answered(started, budget)
        return result

    def _answered(self, started: float, budget: float) -> None:
        self._breaker.succeeded()
        if not self._is_self_timed:
            return
        now = self._clock()
        if now - started > _OVERRUN * budget:
            # It does not keep its own deadlines after all.
            self._is_self_timed = False
            self._trusted_until = float("-inf")
        else:
            self._trusted_until = now + _IDLE_SECONDS

    def _failed(self, started: float) -> None:
        self._trusted_until = float("-inf")
        self._breaker.failed(self._clock() - started)

    def _skip_or_probe(self, work: Callable[[], object], doing: str) -> None:
        """Raise, unless the breaker has closed meanwhile."""
        admission = self._breaker.admit()
        if admission is Admission.GO:
            return
        notes = current_notes()
        if notes is not None:
            notes.attributes["breaker"] = admission.value
        if admission is Admission.PROBE:
            self._calls.start(partial(self._probe, work), f"a probe of {self._engine}")
        raise BackendSkippedError(
            f"{doing} was skipped: the backend {self._engine} failed of late, and is left alone "
            "until a probe finds it well"
        )

    def _probe(self, work: Callable[[], object]) -> None:
        started = self._clock()
        try:
            work()
        except _ANSWERS:
            self._breaker.recovered()
        except Exception:  # noqa: BLE001 - counted by `inner`, and the breaker stays open
            self._breaker.failed(self._clock() - started)
        else:
            self._breaker.recovered()
