import pytest

from torchstash.cache.wrappers import BreakerLimits
from torchstash.cache.wrappers.breaker import Admission, Breaker
from torchstash.tests.cache.wrappers.scripted_backend import Clock


def _breaker(clock: Clock) -> Breaker:
    return Breaker(BreakerLimits(3, 2.0, 10.0), clock=clock)


def test_opens_after_failures_in_a_row() -> None:
    breaker = _breaker(Clock())
    for _ in range(5):
        breaker.failed(0.01)
        breaker.failed(0.01)
        breaker.succeeded()
    assert breaker.admit() is Admission.GO
    for _ in range(3):
        breaker.failed(0.01)
    assert breaker.admit() is Admission.STOP


def test_opens_after_time_was_lost() -> None:
    breaker = _breaker(Clock())
    assert breaker.seconds_left == 2.0
    breaker.failed(1.5)
    assert breaker.admit() is Admission.GO
    assert breaker.seconds_left == 0.5
    breaker.failed(0.5)
    assert breaker.is_open()


def test_one_probe_at_a_time_finds_out() -> None:
    clock = Clock()
    breaker = _breaker(clock)
    for _ in range(3):
        breaker.failed(0.0)
    clock.now += 9.99
    assert breaker.admit() is Admission.STOP
    clock.now += 0.01
    assert breaker.admit() is Admission.PROBE
    assert breaker.admit() is Admission.STOP
    breaker.failed(1.0)
    clock.now += 9.99
    assert breaker.admit() is Admission.STOP
    clock.now += 0.01
    assert breaker.admit() is Admission.PROBE
    # One that went before it opened tells nothing.
    breaker.succeeded()
    assert breaker.admit() is Admission.STOP
    breaker.recovered()
    assert breaker.admit() is Admission.GO
    assert breaker.seconds_left == 2.0


def test_a_success_does_not_give_lost_time_back() -> None:
    clock = Clock()
    breaker = _breaker(clock)
    breaker.failed(1.0)
    breaker.succeeded()
    assert breaker.seconds_left == 1.0
    clock.now += 15
    assert breaker.seconds_left == pytest.approx(1.5)
    clock.now += 60
    assert breaker.seconds_left == 2.0


def test_a_server_that_answers_one_kind_of_request_only_is_left_alone() -> None:
    clock = Clock()
    breaker = _breaker(clock)
    lost = 0.0
    for _ in range(600):
        clock.now += 1.0
        admission = breaker.admit()
        if admission is Admission.PROBE:
            breaker.recovered()
        elif admission is Admission.GO:
            waited = min(1.0, breaker.seconds_left)
            breaker.failed(waited)
            breaker.succeeded()
            lost += waited
    # In ten minutes: two seconds at once, half of them for each probe that misled, and what is
    # forgotten meanwhile.
    assert 2.0 < lost < 2.0 + 60 * 1.0 + 20.0


@pytest.mark.parametrize(
    "limits", [(0, 1.0, 1.0, 1.0), (1, 0.0, 1.0, 1.0), (1, 1.0, -1.0, 1.0), (1, 1.0, 1.0, 0.0)]
)
def test_limits_are_positive(limits: tuple[int, float, float, float]) -> None:
    with pytest.raises(ValueError, match="positive"):
        BreakerLimits(*limits)
