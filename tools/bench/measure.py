"""Times contestants against each other, in turn.

In each round every contestant gives one sample (A B C, A B C, ...), so that a machine that slows
down or is shared slows all of them alike; medians forget the rounds in which one was disturbed. A
sample is as many calls as make the clock's own cost vanish (after `timeit`), with an accelerator
synchronized on both sides; or one call, where something has to be set up before each.

Before that each contestant runs once, untimed: it loads, compiles and faults its pages in, and
its result is checked. One that cannot run, or errs, has a problem instead of times; the others go
on.
"""

import contextlib
import gc
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic

from torchstash.tools.bench.contestant import Contestant, Trial, Work
from torchstash.tools.bench.errors import UnavailableError
from torchstash.tools.bench.result import Case, Result

_LONGEST_PROBLEM = 300


@dataclass(frozen=True)
class Effort:
    """How much is spent on each contestant in each case."""

    rounds: int = 25
    # A contestant that has used this up, setting up included, sits the other rounds out. Each is
    # timed at least once.
    budget_seconds: float = 2.0
    # The least that a sample lasts.
    sample_seconds: float = 0.01


def measure(
    case: Case,
    contestants: Sequence[Contestant[Work]],
    work: Work,
    effort: Effort,
    *,
    advance: Callable[[int], None] = lambda _: None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Result]:
    """Results in the order of the contestants.

    Args:
        case: What `work` is.
        contestants: All of them meet in the same rounds.
        work: Given to each contestant to prepare itself.
        effort: How much is spent on each.
        advance: Told how many of `len(contestants) * effort.rounds` samples are done or let be.
        clock: Seconds since any moment.
    """
    entries = [_Entry(contestant, effort, clock) for contestant in contestants]
    try:
        for entry in entries:
            entry.warm_up(work)
        with _no_garbage_collection():
            for _ in range(effort.rounds):
                for entry in entries:
                    entry.take_part()
                    advance(1)
    finally:
        for entry in entries:
            entry.close()
    return [entry.result(case) for entry in entries]


class _Entry(Generic[Work]):
    """One contestant on its way through the rounds."""

    def __init__(
        self, contestant: Contestant[Work], effort: Effort, clock: Callable[[], float]
    ) -> None:
        self._contestant = contestant
        self._effort = effort
        self._clock = clock
        self._trial = Trial(lambda: None)
        self._calls = 1
        # Of whole samples.
        self._seconds: list[float] = []
        # What they took, with what was set up for them.
        self._spent_seconds = 0.0
        self._last_spent_seconds = 0.0
        self._problem: str | None = None

    def warm_up(self, work: Work) -> None:
        with self._problems_noted():
            self._trial = self._contestant.prepare(work)
            self._set_up()
            result = self._trial.call()
            self._trial.synchronize()
            self._trial.check(result)
            self._calibrate()

    def take_part(self) -> None:
        if self._problem is not None:
            return
        # The next one will last as long as the last one did.
        will_have_spent = self._spent_seconds + self._last_spent_seconds
        if self._seconds and will_have_spent > self._effort.budget_seconds:
            return
        with self._problems_noted():
            self._seconds.append(self._sample())

    def close(self) -> None:
        with self._problems_noted():
            self._trial.close()

    def result(self, case: Case) -> Result:
        return Result(
            contestant=self._contestant.name,
            device=self._contestant.device,
            case=case,
            seconds=(
                ()
                if self._problem is not None
                else tuple(seconds / self._calls for seconds in self._seconds)
            ),
            calls_per_sample=0 if self._problem is not None else self._calls,
            is_ceiling=self._contestant.is_ceiling,
            problem=self._problem,
        )

    def _calibrate(self) -> None:
        least = self._effort.sample_seconds
        while (seconds := self._sample()) < least and self._trial.set_up is None:
            # Twice, as the first calls may be slow; at most tenfold, as the clock may be coarse.
            factor = least / seconds if seconds > 0 else 10.0
            self._calls *= max(2, min(10, int(factor) + 1))
        if self._last_spent_seconds > self._effort.budget_seconds:
            # It is timed once, and this was it.
            self._seconds.append(seconds)
        self._spent_seconds = 0.0

    def _set_up(self) -> None:
        if self._trial.set_up is not None:
            self._trial.set_up()

    def _sample(self) -> float:
        call, synchronize, clock = self._trial.call, self._trial.synchronize, self._clock
        begin = clock()
        self._set_up()
        synchronize()
        start = clock()
        for _ in itertools.repeat(None, self._calls):
            call()
        synchronize()
        end = clock()
        self._last_spent_seconds = end - begin
        self._spent_seconds += self._last_spent_seconds
        return end - start

    @contextlib.contextmanager
    def _problems_noted(self) -> Iterator[None]:
        """A boundary: whatever a peer raises becomes a row that says so."""
        try:
            yield
        except UnavailableError as error:
            self._problem = str(error)
        except Exception as error:  # noqa: BLE001 - a peer's fault must not end the benchmark
            self._problem = _in_brief(error)


def _in_brief(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return text if len(text) <= _LONGEST_PROBLEM else text[: _LONGEST_PROBLEM - 3] + "..."


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """A collection takes longer than most samples."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
