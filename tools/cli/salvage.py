"""`torchstash repair --salvage`: a new catalogue from what can be read of a damaged one."""

import dataclasses
import json
import sys

from torchstash.content_store import ContentStoreMaintenance
from torchstash.tools.cli.store import told_errors
from torchstash.tools.cli.table import printable


def salvage_store(store: str, *, as_json: bool) -> bool:
    """Writes what came back and what did not; whether all did.

    Raises:
        CommandError: There is no store, or it is in use, or it cannot be written.
    """
    with told_errors():
        report = ContentStoreMaintenance(store).salvage()
    is_whole = not (
        report.lost_tensors
        or report.lost_snapshots
        or report.nameless_storages
        or report.damaged_pages
    )
    if as_json:
        told = {**dataclasses.asdict(report), "kept_aside": str(report.kept_aside)}
        sys.stdout.write(json.dumps(told) + "\n")
        return is_whole
    for kind, names in (("tensor", report.lost_tensors), ("snapshot", report.lost_snapshots)):
        for name in names:
            sys.stdout.write(f"lost: write again: {kind} {printable(name)}\n")
    for digest in report.nameless_storages:
        sys.stdout.write(f"without a name: storage {digest}\n")
    if report.damaged_pages:
        sys.stdout.write(
            f"{report.damaged_pages} pages of the catalogue could not be read in full; other names "
            "may have been there\n"
        )
    sys.stdout.write(
        f"{report.tensors} tensors and {report.snapshots} snapshots are there, all checked by "
        f"their digests; the damaged catalogue is {printable(str(report.kept_aside))}\n"
    )
    return is_whole
