"""`torchstash stats`: how much a content store holds, and how much of it it keeps once."""

import dataclasses
import json
import sys

from torchstash.tools.cli.store import open_store
from torchstash.tools.cli.store_totals import total, total_snapshots
from torchstash.tools.cli.table import print_table


def print_stats(store: str, *, as_json: bool) -> None:
    """Writes the number of tensors and storages of a store, and their bytes.

    Raises:
        CommandError: There is no store, or it cannot be read.
    """
    with open_store(store) as reader:
        totals = total(reader)
        snapshots = total_snapshots(reader)
    if as_json:
        record = {
            **dataclasses.asdict(totals),
            "ratio": totals.ratio,
            "snapshots": dataclasses.asdict(snapshots),
        }
        sys.stdout.write(json.dumps(record) + "\n")
        return
    print_table(
        ("", "COUNT", "BYTES"),
        [
            ("tensors (logical)", str(totals.tensors), str(totals.logical_bytes)),
            ("storages (stored)", str(totals.storages), str(totals.stored_bytes)),
            ("ratio", "", "-" if totals.ratio is None else f"{totals.ratio:.2f}"),
            ("snapshots (logical)", str(snapshots.snapshots), str(snapshots.logical_bytes)),
            ("snapshots (stored)", "", str(snapshots.stored_bytes)),
            (f"deltas (depth {snapshots.depth})", str(snapshots.delta_snapshots), ""),
        ],
        right=("COUNT", "BYTES"),
    )
