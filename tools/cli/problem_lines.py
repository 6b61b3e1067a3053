"""Problems of a store, for people and for programs."""

import json

from torchstash.content_store import Problem
from torchstash.tools.cli.table import printable


def line(problem: Problem) -> str:
    """One line of text."""
    return printable(str(problem)) + "\n"


def json_line(problem: Problem) -> str:
    """One JSON object."""
    return json.dumps(record(problem)) + "\n"


def record(problem: Problem) -> dict[str, object]:
    """What a program wants to know of it."""
    return {
        "kind": str(problem.kind),
        "loses_data": problem.loses_data,
        "found": problem.found,
        "tensors": problem.tensors,
        "snapshots": problem.snapshots,
        "storages": problem.storages,
        "digest": problem.digest,
    }
