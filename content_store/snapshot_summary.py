"""What a snapshot is, in numbers, from its manifest alone."""

from dataclasses import dataclass

from torchstash.content_store.parsed_snapshot import ParsedSnapshot


@dataclass(frozen=True, slots=True)
class SnapshotSummary:
    """Counts of a saved state dict.

    Attributes:
        tensors: How many there are.
        storages: How many they lie in.
        logical_bytes: Of all storages, as they are in memory.
        stored_bytes: Of what the snapshot keeps: each content once, and of a storage that is kept
            as a delta only that delta; what it begins with is its base's.
        delta_storages: How many are kept as deltas.
        depth: How many deltas lead to a storage, at most; 0: all are kept in full.
    """

    tensors: int
    storages: int
    logical_bytes: int
    stored_bytes: int
    delta_storages: int
    depth: int


def summarize_snapshot(snapshot: ParsedSnapshot) -> SnapshotSummary:
    """The counts of a snapshot. No byte of it is read."""
    storages = snapshot.storages
    own = dict([*storage.parts()][-1] for storage in storages)
    chains = [storage.chain for storage in storages if storage.chain is not None]
    return SnapshotSummary(
        tensors=len(snapshot.descriptions),
        storages=len(storages),
        logical_bytes=sum(storage.size_bytes for storage in storages),
        stored_bytes=sum(own.values()),
        delta_storages=len(chains),
        depth=max((len(chain.steps) for chain in chains), default=0),
    )
