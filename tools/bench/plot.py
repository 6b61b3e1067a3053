"""The outcome of a benchmark as a picture: throughput over size, a panel for each device."""

import itertools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchstash.tools.bench.errors import UnavailableError
from torchstash.tools.bench.outcome import Section
from torchstash.tools.bench.result import Result
from torchstash.tools.bench.sizes import format_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# After Okabe and Ito: told apart by all eyes. Black is for the ceilings, vermilion for ours.
_OURS = "#D55E00"
_COLOURS = ("#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7F7F7F", "#8C6D31", "#5B3FA0")
_MARKERS = "osD^vPX*"
_CEILING_DASHES = ("--", (0, (1, 1)), "-.", (0, (6, 2)))
_PANEL_INCHES = (9.5, 5.4)


def require_matplotlib() -> None:
    """Better asked before the benchmark than after it.

    Raises:
        UnavailableError: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: PLC0415, F401 - only for those who want a plot
    except ImportError as error:
        raise UnavailableError(
            f"--plot needs matplotlib, which cannot be imported ({error}): pip install matplotlib"
        ) from error
    # It tells of its caches.
    logging.getLogger("matplotlib").setLevel(logging.WARNING)


def write_plot(path: Path, section: Section, *, title: str, subtitle: str, ours: str) -> None:
    """Draws one line for each contestant, GB/s over bytes, both logarithmic.

    Args:
        path: Its suffix says in which format.
        section: Cases of one operation each; what has no times is left out.
        title: Of the whole.
        subtitle: The machine, in small letters.
        ours: Name of the contestant that stands out.

    Raises:
        UnavailableError: matplotlib is not installed, or does not know the format.
    """
    require_matplotlib()
    from matplotlib.figure import Figure  # noqa: PLC0415 - only for those who want a plot

    lines = _lines(section.results)
    devices = list(dict.fromkeys(device for device, _ in lines)) or ["cpu"]
    width, height = _PANEL_INCHES
    figure = Figure(figsize=(width, height * len(devices)), layout="constrained", dpi=150)
    panels = figure.subplots(len(devices), sharex=True, sharey=True, squeeze=False)[:, 0]
    sizes = sorted({result.case.size_bytes for line in lines.values() for result in line})
    styles = _styles(lines, ours)
    for device, panel in zip(devices, panels, strict=True):
        of_device = {name: line for (at, name), line in lines.items() if at == device}
        _draw(panel, of_device, styles)
        _label_axes(panel, sizes)
        panel.set_title(device, loc="left", fontsize=10, fontweight="bold")
    figure.suptitle(title, fontsize=13, fontweight="bold")
    figure.supxlabel(subtitle, fontsize=7, color="#555555")
    try:
        figure.savefig(path)
    except ValueError as error:
        raise UnavailableError(f"--plot {path.name}: {error}") from error


def _lines(results: Sequence[Result]) -> dict[tuple[str, str], list[Result]]:
    """Results that have times, by device and contestant, in the order of size."""
    lines: dict[tuple[str, str], list[Result]] = {}
    for result in sorted(results, key=lambda result: result.case.size_bytes):
        if result.seconds:
            lines.setdefault((result.device, result.contestant), []).append(result)
    return lines


def _styles(lines: dict[tuple[str, str], list[Result]], ours: str) -> dict[str, dict[str, Any]]:
    """How to draw each contestant: the same on every device."""
    styles: dict[str, dict[str, Any]] = {}
    competitors, ceilings = itertools.count(), itertools.count()
    for (_, name), line in lines.items():
        if name in styles:
            continue
        if line[0].is_ceiling:
            dashes = _CEILING_DASHES[next(ceilings) % len(_CEILING_DASHES)]
            styles[name] = {"color": "black", "linestyle": dashes, "linewidth": 1.3}
        elif name == ours:
            styles[name] = {"color": _OURS, "marker": "o", "linewidth": 3, "zorder": 5}
        else:
            i = next(competitors)
            styles[name] = {
                "color": _COLOURS[i % len(_COLOURS)],
                "linewidth": 1.5,
                "marker": _MARKERS[i % len(_MARKERS)],
                "markersize": 5,
            }
    return styles


def _draw(panel: "Axes", lines: dict[str, list[Result]], styles: dict[str, dict[str, Any]]) -> None:
    # The legend lists lines from the top to the bottom of their right ends.
    for name, line in sorted(lines.items(), key=lambda line: -_speed(line[1][-1])):
        sizes = [result.case.size_bytes for result in line]
        panel.plot(sizes, [_speed(result) for result in line], label=name, **styles[name])
    if lines:
        panel.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9)


def _label_axes(panel: "Axes", sizes: Sequence[int]) -> None:
    panel.set_xscale("log", base=2)
    panel.set_yscale("log")
    panel.set_xticks(sizes, [format_size(size) for size in sizes])
    panel.minorticks_off()
    panel.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    panel.set_ylabel("GB/s")
    panel.grid(visible=True, color="#dddddd", linewidth=0.7)
    panel.spines[["top", "right"]].set_visible(False)


def _speed(result: Result) -> float:
    speed = result.gigabytes_per_second
    if speed is None:
        raise ValueError(f"{result.contestant} has no times for {result.case.name}")
    return speed
