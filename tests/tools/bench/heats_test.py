import io

import pytest
from rich.console import Console

from torchstash.tools.bench.contestant import Contestant, Trial
from torchstash.tools.bench.errors import UsageError
from torchstash.tools.bench.heats import Heat, run_heats
from torchstash.tools.bench.measure import Effort
from torchstash.tools.bench.result import Case, Result

_EFFORT = Effort(rounds=2, budget_seconds=0.01, sample_seconds=1e-6)


def _contestant(name: str, works: list[str]) -> Contestant[str]:
    def prepare(work: str) -> Trial:
        works.append(f"{name} gets {work}")
        return Trial(lambda: None)

    return Contestant(name, "cpu", prepare)


def _run(works: list[str], *only: str) -> dict[str, list[Result]]:
    first, second = _contestant("first", works), _contestant("second", works)
    heats = [
        Heat("A", Case("1", 1), [first, second], lambda: "one"),
        Heat("B", Case("2", 2), [second], lambda: "two"),
        Heat("A", Case("3", 3), [first, second], lambda: "three"),
    ]
    return run_heats(heats, only=only, effort=_EFFORT, console=Console(file=io.StringIO()))


def test_results_are_sorted_into_sections() -> None:
    works: list[str] = []
    results = _run(works)
    assert [(result.contestant, result.case.name) for result in results["A"]] == [
        ("first", "1"),
        ("second", "1"),
        ("first", "3"),
        ("second", "3"),
    ]
    assert len(results["B"]) == 1
    assert works[2] == "second gets two"


def test_only_those_who_are_asked_for_take_part() -> None:
    works: list[str] = []
    assert list(_run(works, "FIR", "third")) == ["A"]
    assert works == ["first gets one", "first gets three"]


def test_a_name_that_nobody_has_is_an_error_that_lists_the_names() -> None:
    with pytest.raises(UsageError, match="called like third; there are: first; second"):
        _run([], "third")
