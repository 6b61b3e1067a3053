"""`torchstash ls --snapshots` and `show --snapshot`: what state dicts hold, and what they keep."""

import dataclasses
import json
import sys

from torchstash.content_store import SnapshotSummary
from torchstash.tools.cli.store import open_store
from torchstash.tools.cli.table import print_table

_TITLES = ("TENSORS", "LOGICAL", "STORED", "DEPTH", "NAME")


def list_snapshots(store: str, prefix: str, *, as_json: bool) -> None:
    """Writes a line for each snapshot whose name begins with `prefix`, in the order of names.

    Raises:
        CommandError: There is no store, or it cannot be read.
    """
    with open_store(store) as reader:
        found = ((name, reader.describe_snapshot(name)) for name in reader.snapshots(prefix))
        if as_json:
            for name, summary in found:
                sys.stdout.write(json.dumps(_record(name, summary)) + "\n")
        else:
            rows = (_cells(name, summary) for name, summary in found)
            print_table(_TITLES, rows, right=_TITLES[:-1])


def show_snapshot(store: str, name: str, *, as_json: bool) -> None:
    """Writes the counts of the snapshot `name`.

    Raises:
        CommandError: There is no such snapshot, or it cannot be read.
    """
    with open_store(store) as reader:
        record = _record(name, reader.describe_snapshot(name))
    if as_json:
        sys.stdout.write(json.dumps(record) + "\n")
    else:
        print_table(("FIELD", "VALUE"), [(field, str(value)) for field, value in record.items()])


def _cells(name: str, summary: SnapshotSummary) -> tuple[str, ...]:
    numbers = (summary.tensors, summary.logical_bytes, summary.stored_bytes, summary.depth)
    return (*map(str, numbers), name)


def _record(name: str, summary: SnapshotSummary) -> dict[str, object]:
    return {"name": name, **dataclasses.asdict(summary)}
