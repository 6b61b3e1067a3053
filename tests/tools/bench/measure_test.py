"""Rounds, budgets, medians and faults, on a clock that the test turns."""

import gc
import itertools
from collections.abc import Callable, Iterable

import pytest

from torchstash.tests.tools.bench.fake_clock import FakeClock
from torchstash.tools.bench.contestant import Contestant, Trial
from torchstash.tools.bench.errors import UnavailableError, WrongResultError
from torchstash.tools.bench.measure import Effort, measure
from torchstash.tools.bench.result import Case, Result

_CASE = Case("1 KiB", 1024)
_EFFORT = Effort(rounds=3, budget_seconds=100.0, sample_seconds=1.0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def _named(name: str, call: Callable[[], object]) -> Contestant[None]:
    return Contestant(name, "cpu", lambda _: Trial(call))


def _measure(
    clock: FakeClock, *contestants: Contestant[None], effort: Effort = _EFFORT
) -> list[Result]:
    return measure(_CASE, contestants, None, effort, clock=clock)


def test_contestants_take_turns(clock: FakeClock) -> None:
    calls: list[str] = []

    def call(name: str) -> None:
        calls.append(name)
        clock.spend(1.0)

    _measure(clock, _named("a", lambda: call("a")), _named("b", lambda: call("b")))
    # Each once to warm up and once to calibrate, then three rounds.
    assert "".join(calls) == "aabb" + "ab" * 3


def test_the_median_forgets_a_disturbed_round(clock: FakeClock) -> None:
    # The first two are warm-up and calibration.
    durations = iter([50.0, 1.0, 2.0, 40.0, 3.0])
    [result] = _measure(clock, _named("a", lambda: clock.spend(next(durations))))
    assert result.seconds == (2.0, 40.0, 3.0)
    assert result.median_seconds == 3.0
    assert result.gigabytes_per_second == 1024 / 3.0 / 1e9


def test_short_calls_are_timed_many_at_a_time(clock: FakeClock) -> None:
    [result] = _measure(clock, _named("a", lambda: clock.spend(0.01)))
    assert 100 <= result.calls_per_sample < 1000
    assert result.median_seconds == pytest.approx(0.01)


def test_a_clock_too_coarse_to_see_a_call_is_no_obstacle(clock: FakeClock) -> None:
    calls = 0

    def call() -> None:
        nonlocal calls
        calls += 1
        clock.now = calls // 64 * 0.25

    [result] = _measure(clock, _named("a", call))
    assert result.median_seconds == pytest.approx(0.25 / 64, rel=0.3)


def test_the_slow_give_fewer_samples_and_the_others_all(clock: FakeClock) -> None:
    effort = Effort(rounds=5, budget_seconds=7.0, sample_seconds=1.0)
    slow, fast = _measure(
        clock,
        _named("slow", lambda: clock.spend(3.0)),
        _named("fast", lambda: clock.spend(1.0)),
        effort=effort,
    )
    assert len(slow.seconds) == 2
    assert len(fast.seconds) == 5


def test_one_beyond_the_budget_is_warmed_up_and_timed_once(clock: FakeClock) -> None:
    durations = iter([30.0, 20.0])
    [result] = _measure(
        clock,
        _named("a", lambda: clock.spend(next(durations))),
        effort=Effort(rounds=5, budget_seconds=2.0),
    )
    assert result.seconds == (20.0,)


def test_a_slow_first_call_says_nothing_of_the_next(clock: FakeClock) -> None:
    durations = itertools.chain([30.0], itertools.repeat(0.5))
    [result] = _measure(
        clock,
        _named("a", lambda: clock.spend(next(durations))),
        effort=Effort(rounds=5, budget_seconds=10.0, sample_seconds=1.0),
    )
    assert result.calls_per_sample > 1
    assert result.seconds == (0.5,) * 5


def test_what_a_call_uses_up_is_set_up_before_each_and_not_timed(clock: FakeClock) -> None:
    events: list[str] = []

    def set_up() -> None:
        events.append("set up")
        clock.spend(40.0)

    def call() -> None:
        events.append("call")
        clock.spend(0.25)

    contestant = Contestant[None]("a", "cpu", lambda _: Trial(call, set_up=set_up))
    [result] = _measure(clock, contestant)
    assert result.calls_per_sample == 1
    # Shorter than a sample should be; and the third would be beyond the budget, set up as it is.
    assert result.seconds == (0.25,) * 2
    assert events == ["set up", "call"] * (2 + 2)


def test_an_accelerator_is_waited_for_on_both_sides(clock: FakeClock) -> None:
    pending = [0.0]

    def call() -> None:
        pending[0] += 1.0

    def synchronize() -> None:
        clock.spend(pending[0])
        pending[0] = 0.0

    def prepare(_: None) -> Trial:
        pending[0] = 500.0  # Left running by the preparation; warming up waits for it.
        return Trial(call, synchronize=synchronize)

    [result] = _measure(
        clock,
        Contestant("a", "cuda", prepare),
        effort=Effort(rounds=3, budget_seconds=1000.0, sample_seconds=1.0),
    )
    assert result.seconds == (1.0, 1.0, 1.0)
    assert result.device == "cuda"


def _raise(error: Exception) -> Callable[[object], Trial]:
    def prepare(_: object) -> Trial:
        raise error

    return prepare


def _fail(errors: Iterable[Exception | None], clock: FakeClock) -> Callable[[], object]:
    remaining = iter(errors)

    def call() -> None:
        clock.spend(1.0)
        error = next(remaining)
        if error is not None:
            raise error

    return call


def _wrong(_: object) -> None:
    raise WrongResultError("gave 1, and the right result is 2")


@pytest.mark.parametrize(
    ("prepare", "problem"),
    [
        (_raise(UnavailableError("no such package")), "no such package"),
        (_raise(ImportError("No module named 'x'\nmore")), "ImportError: No module named 'x'"),
        (_raise(KeyError()), "KeyError"),
        (lambda _: Trial(lambda: 1, _wrong), "WrongResultError: gave 1, and the right result is 2"),
    ],
)
def test_who_cannot_run_says_why_and_the_others_go_on(
    clock: FakeClock, prepare: Callable[[object], Trial], problem: str
) -> None:
    failed, other = _measure(
        clock, Contestant("a", "cpu", prepare), _named("b", lambda: clock.spend(1.0))
    )
    assert failed.problem == problem
    assert failed.seconds == ()
    assert failed.median_seconds is failed.gigabytes_per_second is None
    assert failed.microseconds_per_operation is None
    assert other.problem is None
    assert len(other.seconds) == 3


def test_who_fails_in_the_middle_has_no_times(clock: FakeClock) -> None:
    errors = [None, None, None, MemoryError("x" * 1000)]
    failed, other = _measure(
        clock, _named("a", _fail(errors, clock)), _named("b", lambda: clock.spend(1.0))
    )
    assert failed.seconds == ()
    assert failed.calls_per_sample == 0
    assert failed.problem is not None
    assert failed.problem.startswith("MemoryError: xxx")
    assert len(failed.problem) == 300
    assert len(other.seconds) == 3


def test_an_interrupted_benchmark_ends(clock: FakeClock) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _measure(clock, _named("a", interrupted))
    assert gc.isenabled()


def test_what_was_prepared_is_closed_whatever_happens(clock: FakeClock) -> None:
    closed: list[str] = []

    def contestant(name: str, call: Callable[[], object]) -> Contestant[None]:
        return Contestant(name, "cpu", lambda _: Trial(call, close=lambda: closed.append(name)))

    def interrupted() -> None:
        raise KeyboardInterrupt

    good = contestant("good", lambda: clock.spend(1.0))
    failing = contestant("failing", _fail([MemoryError()], clock))
    with pytest.raises(KeyboardInterrupt):
        _measure(clock, good, failing, contestant("interrupted", interrupted))
    assert closed == ["good", "failing", "interrupted"]


def test_results_are_checked_once_and_before_they_are_timed(clock: FakeClock) -> None:
    events: list[str] = []

    def call() -> str:
        events.append("call")
        clock.spend(1.0)
        return "result"

    def check(result: object) -> None:
        events.append(f"check {result}")
        clock.spend(1000.0)

    [result] = _measure(clock, Contestant("a", "cpu", lambda _: Trial(call, check)))
    assert events == ["call", "check result", "call", "call", "call", "call"]
    assert result.seconds == (1.0, 1.0, 1.0)


def test_every_sample_is_told_to_the_progress_bar(clock: FakeClock) -> None:
    told: list[int] = []
    contestants: list[Contestant[None]] = [
        _named("a", lambda: clock.spend(1.0)),
        Contestant("b", "cpu", _raise(UnavailableError("no"))),
    ]
    measure(_CASE, contestants, None, _EFFORT, advance=told.append, clock=clock)
    assert sum(told) == 2 * _EFFORT.rounds


def test_no_collection_falls_into_a_sample(clock: FakeClock) -> None:
    enabled: list[bool] = []

    def call() -> None:
        enabled.append(gc.isenabled())
        clock.spend(1.0)

    _measure(clock, _named("a", call))
    assert not any(enabled[-_EFFORT.rounds :])
    assert gc.isenabled()


def test_a_batch_is_told_by_its_operations() -> None:
    result = Result("a", "cpu", Case("10 x 1 KiB", 10240, operations=10), seconds=(1.0,))
    assert result.microseconds_per_operation == 1e5
    assert result.gigabytes_per_second == 10240 / 1e9
