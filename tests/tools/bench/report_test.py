import io
import re

import pytest
from rich.console import Console

from torchstash.tests.tools.bench.outcomes import MISSING, outcome
from torchstash.tools.bench.report import number, print_report


@pytest.fixture
def lines() -> list[list[str]]:
    """Cells of each line of the report."""
    out = io.StringIO()
    print_report(Console(file=out, width=120), outcome())
    return [re.split(r"  +", line.strip()) for line in out.getvalue().splitlines()]


def test_the_machine_comes_first(lines: list[list[str]]) -> None:
    assert lines[0] == ["A CPU, 2 cores; cuda: A GPU; torch 2.13.0; load 0.5 at the start"]


def test_medians_stand_in_the_unit_of_the_table(lines: list[list[str]]) -> None:
    rows = [line for line in lines if line[:2] == ["cpu", "ours"]]
    assert rows == [
        ["cpu", "ours", "0.032", "4.29"],
        ["cpu", "ours", "2.00", "250,000"],
        ["cpu", "ours", "0.041"],
        ["cpu", "ours", "100"],
    ]
    titles = [line[0] for line in lines if ": " in line[0] and len(line) == 1]
    assert "One storage: us per call" in titles
    assert "Many storages: us per storage" in titles


def test_who_is_missing_has_a_row_and_a_note_that_says_why(lines: list[list[str]]) -> None:
    assert lines.count(["cpu", "peer", "[1]", "[1]"]) == 2
    assert lines.count([f"[1] peer (cpu): {MISSING}"]) == 1


def test_a_case_without_a_contestant_is_left_empty(lines: list[list[str]]) -> None:
    assert ["cuda", "ours", "1,074"] in lines


def test_figures_stand_beside_their_goals(lines: list[list[str]]) -> None:
    assert ["fast", "120 x", "at least 100 x", "reached"] in lines
    assert ["slow", "7.00 us", "at most 5 us", "missed"] in lines
    assert ["free", "0.50 x"] in lines


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.00"),
        (0.0000731, "0.000073"),
        (0.0999, "0.10"),
        (0.32, "0.32"),
        (9.876, "9.88"),
        (12.34, "12.3"),
        (123.4, "123"),
        (23624058.0, "23,624,058"),
    ],
)
def test_numbers_are_short_and_never_nothing(value: float, text: str) -> None:
    assert number(value) == text
