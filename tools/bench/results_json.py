"""The outcome of a benchmark as a JSON file, for programs that compare runs.

`{"benchmark", "environment": {...}, "results": [...], "figures": [...]}`. Every sample is in it,
in seconds per call; sizes are in bytes. What could not be measured is null, beside its `problem`.
"""

import dataclasses
import json
from pathlib import Path

from torchstash.tools.bench.outcome import Figure, Outcome, Section
from torchstash.tools.bench.result import Result


def write_json(path: Path, outcome: Outcome) -> None:
    """Writes or replaces the file."""
    record = {
        "benchmark": outcome.benchmark,
        "environment": dataclasses.asdict(outcome.environment),
        "results": [
            _result(section, result) for section in outcome.sections for result in section.results
        ],
        "figures": [_figure(figure) for figure in outcome.figures],
    }
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _result(section: Section, result: Result) -> dict[str, object]:
    return {
        "section": section.title,
        "contestant": result.contestant,
        "device": result.device,
        "is_ceiling": result.is_ceiling,
        "case": dataclasses.asdict(result.case),
        "gigabytes_per_second": result.gigabytes_per_second,
        "microseconds_per_operation": result.microseconds_per_operation,
        "median_seconds": result.median_seconds,
        "seconds": list(result.seconds),
        "calls_per_sample": result.calls_per_sample,
        "problem": result.problem,
    }


def _figure(figure: Figure) -> dict[str, object]:
    return {**dataclasses.asdict(figure), "is_reached": figure.is_reached}
