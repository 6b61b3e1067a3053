"""The leases that this process has, and what a failing lease service means: go on without."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass

from torchstash.cache.capabilities import Leasable
from torchstash.cache.errors import InvalidKeyError
from torchstash.cache.fork_safe_lock import fork_safe_lock
from torchstash.cache.observation import current_notes


@dataclass(frozen=True, slots=True)
class _Held:
    holder: bytes
    until: float
    thread: int
    pid: int


class HeldLeases:
    """Leases by key, at most one each. Thread-safe.

    Args:
        service: Gives them.
        life_seconds: How long each lives.
        clock: Seconds that only grow.
    """

    def __init__(
        self, service: Leasable, life_seconds: float, *, clock: Callable[[], float]
    ) -> None:
        self._service = service
        self._life_seconds = life_seconds
        self._clock = clock
        self._lock = fork_safe_lock()
        self._held: dict[str, _Held] = {}

    def acquire(self, key: str, holder: bytes) -> bool:
        """Whether the caller is to do the work: it has the lease, or leases cannot be had."""
        held = self._held.get(key)
        now = self._clock()
        if held is not None and held.pid == os.getpid() and now < held.until:
            # Nobody waits for himself. Other threads need not ask the service.
            return held.thread == threading.get_ident()
        try:
            is_given = self._service.acquire_lease(key, holder, self._life_seconds)
        except InvalidKeyError:
            raise
        except Exception as error:  # noqa: BLE001 - counted where it failed; work goes on
            _note(error)
            return True
        if is_given:
            until = now + self._life_seconds
            with self._lock:
                self._forget_old(now)
                self._held[key] = _Held(holder, until, threading.get_ident(), os.getpid())
        return is_given

    def release(self, key: str) -> None:
        """Give the lease of `key` back, if this process has it."""
        with self._lock:
            held = self._held.pop(key, None)
        if held is None or held.pid != os.getpid():
            return
        try:
            self._service.release_lease(key, held.holder)
        except Exception as error:  # noqa: BLE001 - counted where it failed; it runs out by itself
            _note(error)

    def _forget_old(self, now: float) -> None:
        # Of callers that never put. As many as are computed at once, so few.
        for key in [key for key, held in self._held.items() if held.until <= now]:
            del self._held[key]


def _note(error: Exception) -> None:
    notes = current_notes()
    if notes is not None:
        notes.attributes["fault:lease"] = str(error) or type(error).__name__
