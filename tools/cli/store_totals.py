"""How much a content store holds, and how much less it keeps."""

from dataclasses import dataclass

from torchstash.content_store import ContentStoreReader
from torchstash.tools.cli.describe_tensor import size_bytes


@dataclass(frozen=True, slots=True)
class StoreTotals:
    """Counts of tensors, and of the storages that they lie in."""

    tensors: int
    storages: int
    # Each tensor counted by itself, as a file of its own would hold it.
    logical_bytes: int
    # Each storage that a tensor lies in counted once.
    stored_bytes: int

    @property
    def ratio(self) -> float | None:
        """Logical by stored bytes; None where nothing is stored."""
        return self.logical_bytes / self.stored_bytes if self.stored_bytes else None


def total(reader: ContentStoreReader) -> StoreTotals:
    """Reads the metadata of every tensor.

    Raises:
        ContentStoreError: The store cannot be read.
    """
    tensors = 0
    logical_bytes = 0
    storages: dict[bytes, int] = {}
    for name in reader.names():
        metadata = reader.read_tensor_metadata(name)
        tensors += 1
        logical_bytes += size_bytes(metadata)
        storages[metadata.storage_digest] = metadata.storage_size_bytes
    return StoreTotals(tensors, len(storages), logical_bytes, sum(storages.values()))


@dataclass(frozen=True, slots=True)
class SnapshotTotals:
    """Counts of snapshots; of bytes as `SnapshotSummary` counts them, added up."""

    snapshots: int
    # Those with storages that are kept as deltas.
    delta_snapshots: int
    logical_bytes: int
    stored_bytes: int
    depth: int


def total_snapshots(reader: ContentStoreReader) -> SnapshotTotals:
    """Reads the manifest of every snapshot.

    Raises:
        ContentStoreError: The store cannot be read.
    """
    found = [reader.describe_snapshot(name) for name in reader.snapshots()]
    return SnapshotTotals(
        snapshots=len(found),
        delta_snapshots=sum(each.depth > 0 for each in found),
        logical_bytes=sum(each.logical_bytes for each in found),
        stored_bytes=sum(each.stored_bytes for each in found),
        depth=max((each.depth for each in found), default=0),
    )
