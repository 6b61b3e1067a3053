"""When a backend that fails is left alone, and when it is tried again.

The circuit breaker of "Release It!" (Nygard, 2007): closed, it lets everything through; after
failures in a row, or when they have cost too much time, it opens and lets nothing through; from
time to time it is half open, while one probe finds out whether things are well again. Time comes
from a clock that is handed over.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from torchstash.cache.fork_safe_lock import fork_safe_lock


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """When a breaker opens, and how often it probes.

    Attributes:
        failures: It opens after so many of them without a success in between.
        lost_seconds: It opens when they have taken so long together: what a caller waits in vain
            for, before a dead backend costs nothing any more.
        probe_seconds: From one probe to the next.

    Raises:
        ValueError: A number is not positive.
    """

    failures: int = 3
    lost_seconds: float = 1.8
    probe_seconds: float = 10.0

    def __post_init__(self) -> None:
        if not (self.failures > 0 and self.lost_seconds > 0 and self.probe_seconds > 0):
            raise ValueError(f"the limits of a breaker must be positive, not {self}")


class Admission(Enum):
    """What a breaker lets an operation do."""

    GO = "closed"
    # The one that finds out. Whoever gets this must call `succeeded` or `failed`.
    PROBE = "half_open"
    STOP = "open"


class Breaker:
    """The state of one backend's breaker. Thread-safe."""

    def __init__(
        self, limits: BreakerLimits, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._lock = fork_safe_lock()
        self._failures = 0
        self._lost_seconds = 0.0
        self._is_open = False
        self._next_probe = 0.0

    def is_open(self) -> bool:
        """Whether nothing but probes is let through."""
        return self._is_open

    @property
    def seconds_left(self) -> float:
        """How much more time failures may cost before it opens."""
        return self._limits.lost_seconds - self._lost_seconds

    def admit(self) -> Admission:
        """Whether an operation may go on. A probe that never ends is not waited for."""
        if not self.is_open():
            return Admission.GO
        with self._lock:
            if not self.is_open():
                return Admission.GO
            now = self._clock()
            if now < self._next_probe:
                return Admission.STOP
            self._next_probe = now + self._limits.probe_seconds
            return Admission.PROBE

    def succeeded(self) -> None:
        """The backend answered, whatever it said."""
        if self._failures or self._is_open:
            with self._lock:
                self._failures = 0
                self._lost_seconds = 0.0
                self._is_open = False

    def failed(self, elapsed_seconds: float) -> None:
        """The backend did not answer, and that took so long."""
        with self._lock:
            self._failures += 1
            self._lost_seconds += elapsed_seconds
            if self._is_open:
                return
            if (
                self._failures >= self._limits.failures
                or self._lost_seconds >= self._limits.lost_seconds
            ):
                self._is_open = True
                self._next_probe = self._clock() + self._limits.probe_seconds
