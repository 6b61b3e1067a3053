"""`torchstash gc`: removes what dead writers have left in a content store."""

import dataclasses
import json
import sys

from torchstash.content_store import ContentStoreMaintenance
from torchstash.tools.cli.store import told_errors


def collect_garbage(
    store: str, *, grace_seconds: float, audit: bool, dry_run: bool, as_json: bool
) -> None:
    """Collects, and writes what went, or would go.

    Raises:
        CommandError: There is no store, or it cannot be written.
    """
    with told_errors():
        report = ContentStoreMaintenance(store).gc(
            grace_seconds=grace_seconds, audit=audit, dry_run=dry_run
        )
    if as_json:
        sys.stdout.write(json.dumps({**dataclasses.asdict(report), "dry_run": dry_run}) + "\n")
        return
    verb = "would remove" if dry_run else "removed"
    sys.stdout.write(
        f"{verb} {report.orphan_files} files of contents that nothing leads to and "
        f"{report.temporary_files} unpublished ones: {report.freed_bytes} bytes; and "
        f"{report.checkpoint_parts} parts of checkpoints and {report.pulled_contents} contents of "
        "pulls that were never finished\n"
    )
