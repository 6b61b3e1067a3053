"""When a backend that fails is left alone, and when it is tried again.

The circuit breaker of "Release It!" (Nygard, 2007): closed, it lets everything through; after
failures in a row, or when they have cost too much time, it opens and lets nothing through; from
time to time it is half open, while one probe finds out whether things are well again. Time comes
from a clock that is handed over.

Lost time is forgotten as time passes, not by a success: a server may answer every put and let every
get wait (docs/adr/0037).
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
        forget_seconds: Within this time all of `lost_seconds` are forgotten, evenly; the probe
            that closes it forgets half of them at once.

    Raises:
        ValueError: A number is not positive.
    """

    failures: int = 3
    lost_seconds: float = 1.8
    probe_seconds: float = 10.0
    forget_seconds: float = 60.0

    def __post_init__(self) -> None:
        numbers = (self.failures, self.lost_seconds, self.probe_seconds, self.forget_seconds)
        if not all(number > 0 for number in numbers):
            raise ValueError(f"the limits of a breaker must be positive, not {self}")


class Admission(Enum):
    """What a breaker lets an operation do."""

    GO = "closed"
    # The one that finds out. Whoever gets this must call `recovered` or `failed`.
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
        # As of `_lost_at`.
        self._lost_seconds = 0.0
        self._lost_at = 0.0
        self._is_open = False
        self._next_probe = 0.0

    def is_open(self) -> bool:
        """Whether nothing but probes is let through."""
        return self._is_open

    @property
    def seconds_left(self) -> float:
        """How much more time failures may cost before it opens."""
        if not self._lost_seconds:
            return self._limits.lost_seconds
        return self._limits.lost_seconds - self._remembered(self._clock())

    def _remembered(self, now: float) -> float:
        """The seconds that were lost and are not forgotten yet."""
        share = (now - self._lost_at) / self._limits.forget_seconds
        return max(0.0, self._lost_seconds - share * self._limits.lost_seconds)

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
        """The backend answered, whatever it said. Closes nothing: it may be an old operation."""
        if self._failures:
            with self._lock:
                self._failures = 0

    def recovered(self) -> None:
        """The backend answered a probe."""
        with self._lock:
            if self._is_open:
                self._is_open = False
                self._failures = 0
                now = self._clock()
                half = self._limits.lost_seconds / 2
                self._lost_seconds, self._lost_at = min(self._remembered(now), half), now

    def failed(self, elapsed_seconds: float) -> None:
        """The backend did not answer, and that took so long."""
        with self._lock:
            self._failures += 1
            if self._is_open:
                # A probe, which nobody waited for.
                return
            now = self._clock()
            self._lost_seconds, self._lost_at = self._remembered(now) + elapsed_seconds, now
            if (
                self._failures >= self._limits.failures
                or self._lost_seconds >= self._limits.lost_seconds
            ):
                self._is_open = True
                self._next_probe = now + self._limits.probe_seconds
