"""Stage 3: everything is read back by a fresh reader, and compared with what was written."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torchstash.content_store import ContentStoreReader
from torchstash.tools.cli.store_totals import StoreTotals, total
from torchstash.tools.demo.errors import DemoError
from torchstash.tools.demo.same_bits import require_same_bits
from torchstash.tools.demo.snapshots import Snapshot
from torchstash.tools.demo.stopwatch import Stopwatch


@dataclass(frozen=True)
class ReadBack:
    """What the store held; every bit of it was right."""

    totals: StoreTotals
    # Of a step's storages, by bytes: the share that the step before did not have already.
    changed_share: float
    # Reading alone, without the comparison.
    seconds: float


def read_back(store: Path, snapshots: Sequence[Snapshot], advance: Callable[[], None]) -> ReadBack:
    """Reads every tensor of every snapshot.

    Raises:
        DemoError: Something is missing, or is not what was written.
    """
    watch = Stopwatch()
    storages_of_steps = []
    with ContentStoreReader(store) as reader:
        expected = {name for snapshot in snapshots for name in snapshot}
        found = set(reader.names())
        if expected != found:
            raise DemoError(f"the store lacks or has in excess: {sorted(expected ^ found)}")
        for snapshot in snapshots:
            with watch.running():
                read = {name: reader.read_tensor(name) for name in snapshot}
            require_same_bits(snapshot, read)
            described = [reader.read_tensor_metadata(name) for name in snapshot]
            storages_of_steps.append({d.storage_digest: d.storage_size_bytes for d in described})
            advance()
        return ReadBack(total(reader), _changed_share(storages_of_steps), watch.seconds)


def _changed_share(storages_of_steps: Sequence[dict[bytes, int]]) -> float:
    changed = held = 0
    for before, after in itertools.pairwise(storages_of_steps):
        changed += sum(size for digest, size in after.items() if digest not in before)
        held += sum(after.values())
    return changed / held if held else 0.0
