"""Threads that ask for one key at once ask the backend once ("singleflight", Go's x/sync)."""

import os
import threading
from collections.abc import Mapping

from typing_extensions import override

from torchstash.cache.backend import RemoteCacheBackend
from torchstash.cache.fork_safe_lock import fork_safe_lock
from torchstash.cache.wrappers.wrapper import Wrapper


class _Flight:
    """One get that runs, and what came of it."""

    __slots__ = ("done", "error", "pid", "value")

    def __init__(self) -> None:
        self.done = threading.Event()
        self.value: bytes | None = None
        self.error: BaseException | None = None
        # In a child made by fork nobody flies it any more.
        self.pid = os.getpid()


class SingleFlight(Wrapper):
    """`inner`, asked once where several threads of this process get one key at once.

    Those that wait get the value, or the exception, of the one that asked. A put ends the flight
    for those that come after it, so that no get that begins after a put misses it.
    """

    def __init__(self, inner: RemoteCacheBackend[bytes]) -> None:
        super().__init__(inner)
        self._lock = fork_safe_lock()
        self._flights: dict[str, _Flight] = {}

    @override
    def _get(self, key: str) -> bytes | None:
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

    @override
    def _put(self, key: str, data: bytes) -> None:
        try:
            self.inner.put(key, data)
        finally:
            self._end(key, None)

    @override
    def put_many(self, values: Mapping[str, bytes]) -> None:
        try:
            super().put_many(values)
        finally:
            for key in values:
                self._end(key, None)

    def _end(self, key: str, flight: _Flight | None) -> None:
        with self._lock:
            if flight is None or self._flights.get(key) is flight:
                self._flights.pop(key, None)
