"""`torchstash quota`: what the contents of a store take, and what they may."""

import dataclasses
import json
import sys

from torchstash.content_store import ContentStoreMaintenance
from torchstash.tools.cli.store import told_errors
from torchstash.tools.cli.table import print_table


def show_or_set_quota(store: str, quota_bytes: int | str | None, *, as_json: bool) -> None:
    """Sets the quota, unless `quota_bytes` is None, and writes it; any text stands for no quota.

    Raises:
        CommandError: There is no store, or it cannot be written.
    """
    with told_errors():
        maintenance = ContentStoreMaintenance(store)
        if quota_bytes is not None:
            maintenance.set_quota(quota_bytes if isinstance(quota_bytes, int) else None)
        quota = maintenance.quota()
    if as_json:
        sys.stdout.write(json.dumps(dataclasses.asdict(quota)) + "\n")
        return
    cap = "-" if quota.quota_bytes is None else str(quota.quota_bytes)
    print_table(("", "BYTES"), [("used", str(quota.used_bytes)), ("quota", cap)], right=("BYTES",))
