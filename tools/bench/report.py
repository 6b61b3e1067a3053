"""The outcome of a benchmark as tables for people."""

from collections.abc import Callable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from torchstash.tools.bench.outcome import Figure, Outcome, Section
from torchstash.tools.bench.result import Result

_Quantity = Callable[[Result], float | None]


def print_report(console: Console, outcome: Outcome) -> None:
    """Writes two tables for each section, what could not be measured and why, and the figures."""
    _say(console, outcome.environment.describe())
    for section in outcome.sections:
        problems = _problems(section)
        quantities: list[tuple[_Quantity, str]] = [(_microseconds, f"us per {section.operation}")]
        if section.has_throughput:
            quantities.insert(0, (_gigabytes_per_second, "GB/s"))
        for quantity, unit in quantities:
            _say(console, f"\n{section.title}: {unit}", style="bold")
            console.print(_table(section, quantity, problems))
        for i, (problem, names) in enumerate(problems.items()):
            _say(console, f"[{i + 1}] {', '.join(names)}: {problem}")
    if outcome.figures:
        _say(console, "\nFigures", style="bold")
        console.print(_figures(outcome.figures))


def number(value: float) -> str:
    """With three digits, or all of those before the point."""
    if value >= 100:
        return f"{value:,.0f}"
    digits = 2 if value < 10 else 1
    while value and round(value, digits) < 10 ** (1 - digits):
        digits += 1
    return f"{value:.{digits}f}"


def _gigabytes_per_second(result: Result) -> float | None:
    return result.gigabytes_per_second


def _microseconds(result: Result) -> float | None:
    return result.microseconds_per_operation


def _say(console: Console, text: str, style: str | None = None) -> None:
    soft_wrap = not console.is_terminal
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=soft_wrap)


def _problems(section: Section) -> dict[str, list[str]]:
    """Names of contestants by what they say; the numbers of notes are the places in it."""
    problems: dict[str, list[str]] = {}
    for result in section.results:
        if result.problem is not None:
            names = problems.setdefault(result.problem, [])
            if (name := f"{result.contestant} ({result.device})") not in names:
                names.append(name)
    return problems


def _table(section: Section, quantity: _Quantity, problems: dict[str, list[str]]) -> Table:
    cases = list(dict.fromkeys(result.case.name for result in section.results))
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for result in section.results:
        cells = rows.setdefault((result.device, result.contestant), {})
        cells[result.case.name] = _cell(result, quantity, problems)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("device")
    table.add_column("contestant")
    for case in cases:
        table.add_column(case, justify="right", no_wrap=True)
    for (device, name), cells in rows.items():
        table.add_row(device, name, *(cells.get(case, "") for case in cases))
    return table


def _cell(result: Result, quantity: _Quantity, problems: dict[str, list[str]]) -> str:
    if result.problem is not None:
        return rf"\[{list(problems).index(result.problem) + 1}]"
    value = quantity(result)
    return "" if value is None else number(value)


def _figures(figures: Sequence[Figure]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("figure", "measured", "goal", ""):
        table.add_column(name, justify="right" if name in ("measured", "goal") else "left")
    for figure in figures:
        reached = figure.is_reached
        table.add_row(
            figure.name,
            f"{number(figure.value)} {figure.unit}",
            _goal(figure),
            "" if reached is None else "reached" if reached else "missed",
        )
    return table


def _goal(figure: Figure) -> str:
    if figure.at_least is not None:
        return f"at least {figure.at_least:g} {figure.unit}"
    if figure.at_most is not None:
        return f"at most {figure.at_most:g} {figure.unit}"
    return ""
