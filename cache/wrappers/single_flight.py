"""What several ask for at once is asked for, or computed, once ("singleflight", Go's x/sync).

Threads of this process that get one key at once ask the backend once. With a lease, that holds
for what follows a miss too, across processes: who gets the miss computes the value, and the others
wait until it was put. They poll the lease, which costs less than the value, and none waits longer
than it was told to: then, as where leases cannot be had, it computes like the first. A holder that
dies or forgets to put lets the others wait until its lease runs out.
"""

import os
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar

from typing_extensions import override

from torchstash.cache.backend import RemoteCacheBackend
from torchstash.cache.capabilities import ComputeOnce, Leasable
from torchstash.cache.errors import BackendSettingsError
from torchstash.cache.fork_safe_lock import fork_safe_lock
from torchstash.cache.observation import current_notes
from torchstash.cache.wrappers.held_leases import HeldLeases
from torchstash.cache.wrappers.wrapper import Wrapper

_FIRST_PAUSE_SECONDS = 0.01
_LONGEST_PAUSE_SECONDS = 0.25


class _Flight:
    """One get that runs, and what came of it."""

    __slots__ = ("done", "error", "pid", "value")

    def __init__(self) -> None:
        self.done = threading.Event()
        self.value: bytes | None = None
        self.error: BaseException | None = None
        # In a child made by fork nobody flies it any more.
        self.pid = os.getpid()


class SingleFlight(Wrapper, ComputeOnce):
    """`inner`, asked once where several threads of this process get one key at once.

    Those that wait get the value, or the exception, of the one that asked. A put ends the flight
    for those that come after it, so that no get that begins after a put misses it.

    Args:
        inner: The backend inside.
        lease_seconds: How long whoever found nothing has to compute a value and put it, while
            others that find nothing wait: more than that takes. None: nobody waits.
        wait_seconds: How long a get waits for another's value at most. None: `lease_seconds`.
        clock: Seconds that only grow.
        pause: Waits for so many seconds.

    Raises:
        BackendSettingsError: `lease_seconds` was given, and `inner` keeps no leases.
    """

    honours: ClassVar[frozenset[type]] = Wrapper.honours - {ComputeOnce}

    def __init__(
        self,
        inner: RemoteCacheBackend[bytes],
        *,
        lease_seconds: float | None = None,
        wait_seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(inner)
        self._lock = fork_safe_lock()
        self._flights: dict[str, _Flight] = {}
        self._clock = clock
        self._pause = pause
        self._wait_seconds = 0.0
        self._leases: HeldLeases | None = None
        if lease_seconds is not None:
            if not isinstance(inner, Leasable):
                raise BackendSettingsError(
                    f"single flight with a lease was asked of {type(inner).__name__}, which keeps "
                    "none; leave the lease out, or use Redis, an object store, a folder or memory"
                )
            self._wait_seconds = lease_seconds if wait_seconds is None else wait_seconds
            self._leases = HeldLeases(inner, lease_seconds, clock=clock)

    @override
    def _get(self, key: str) -> bytes | None:
        value = self._get_shared(key)
        if value is not None or self._leases is None:
            return value
        return self._claim_or_wait(key, self._leases)

    def _get_shared(self, key: str) -> bytes | None:
        with self._lock:
            flight = self._flights.get(key)
            is_mine = flight is None or flight.pid != os.getpid()
            if flight is None or is_mine:
                flight = self._flights[key] = _Flight()
        if is_mine:
            return self._fly(key, flight)
        flight.done.wait()
        if flight.error is None:
            return flight.value
        if not isinstance(flight.error, Exception):
            # Its thread was interrupted, which is no matter of ours.
            return self.inner.get(key)
        raise flight.error

    def _fly(self, key: str, flight: _Flight) -> bytes | None:
        try:
            flight.value = self.inner.get(key)
        except BaseException as error:
            flight.error = error
            raise
        finally:
            self._end(key, flight)
            flight.done.set()
        return flight.value

    def _claim_or_wait(self, key: str, leases: HeldLeases) -> bytes | None:
        """The value that another caller has put; None: this caller is to compute it."""
        holder = uuid.uuid4().bytes
        give_up = self._clock() + self._wait_seconds
        seconds = _FIRST_PAUSE_SECONDS
        told = "held"
        while not leases.acquire(key, holder):
            left = give_up - self._clock()
            if left <= 0:
                _note("given_up")
                return None
            told = "waited"
            self._pause(min(seconds, left))
            seconds = min(2 * seconds, _LONGEST_PAUSE_SECONDS)
        # Whoever had the lease before has put the value, or will not.
        try:
            value = self.inner.get(key)
        except BaseException:
            leases.release(key)
            raise
        if value is not None:
            leases.release(key)
        _note(told)
        return value

    @override
    def abandon(self, key: str) -> None:
        if self._leases is not None:
            self._leases.release(key)

    @override
    def _put(self, key: str, data: bytes) -> None:
        try:
            self.inner.put(key, data)
        finally:
            self._ended([key])

    @override
    def put_many(self, values: Mapping[str, bytes]) -> None:
        try:
            super().put_many(values)
        finally:
            self._ended(values)

    @override
    def _put_if_absent(self, key: str, data: bytes) -> bool:
        try:
            return super()._put_if_absent(key, data)
        finally:
            self._ended([key])

    @override
    def _delete(self, key: str) -> bool:
        try:
            return super()._delete(key)
        finally:
            self._end(key, None)

    def _ended(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._end(key, None)
            self.abandon(key)

    def _end(self, key: str, flight: _Flight | None) -> None:
        with self._lock:
            if flight is None or self._flights.get(key) is flight:
                self._flights.pop(key, None)


def _note(what: str) -> None:
    notes = current_notes()
    if notes is not None:
        notes.attributes["lease"] = what
