"""`torchstash repair`: puts right what can be, and tells the names to write again."""

import json
import sys

from torchstash.content_store import ContentStoreMaintenance
from torchstash.tools.cli.problem_lines import line, record
from torchstash.tools.cli.store import told_errors
from torchstash.tools.cli.table import printable


def repair_store(store: str, *, as_json: bool) -> bool:
    """Writes what was wrong; whether nothing was lost.

    Raises:
        CommandError: There is no store, or it cannot be written.
    """
    with told_errors():
        report = ContentStoreMaintenance(store).repair()
    if as_json:
        told = {
            "repaired": list(map(record, report.repaired)),
            "lost": list(map(record, report.lost)),
            "tensors_to_write_again": report.tensors_to_write_again,
            "snapshots_to_write_again": report.snapshots_to_write_again,
        }
        sys.stdout.write(json.dumps(told) + "\n")
        return not report.lost
    for title, problems in (("repaired", report.repaired), ("lost", report.lost)):
        for problem in problems:
            sys.stdout.write(f"{title}: {line(problem)}")
    for kind, names in (
        ("tensor", report.tensors_to_write_again),
        ("snapshot", report.snapshots_to_write_again),
    ):
        for name in names:
            sys.stdout.write(f"write again: {kind} {printable(name)}\n")
    if not report.repaired and not report.lost:
        sys.stdout.write("nothing to repair\n")
    return not report.lost
