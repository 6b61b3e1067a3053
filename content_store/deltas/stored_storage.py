"""How a manifest says that a storage is kept."""

from collections.abc import Iterator
from typing import NamedTuple

from torchstash.cache.digest import Digest
from torchstash.content_store.deltas.chain import MAX_STEPS_READ, DeltaChain, DeltaStep
from torchstash.proto.content_store.v1.snapshot_manifest_pb2 import (
    SnapshotManifest,
    SnapshotStorage,
)


class StoredStorage(NamedTuple):
    """A storage of a snapshot. Without a chain its bytes are in the store."""

    digest: Digest
    size_bytes: int
    chain: DeltaChain | None = None

    def digests(self) -> Iterator[Digest]:
        """The contents that must be in the store for it."""
        return (digest for digest, _ in self.parts())

    def parts(self) -> Iterator[tuple[Digest, int]]:
        """`digests`, each with its size in bytes."""
        if self.chain is None:
            yield self.digest, self.size_bytes
            return
        yield self.chain.root, self.size_bytes
        for step in self.chain.steps:
            yield step.digest, step.size_bytes

    def record(self, target: SnapshotStorage) -> None:
        """Sets the message to this."""
        target.digest = self.digest.raw
        target.size_bytes = self.size_bytes
        if self.chain is not None:
            target.delta.root_digest = self.chain.root.raw
            for step in self.chain.steps:
                target.delta.steps.add(digest=step.digest.raw, size_bytes=step.size_bytes)


def stored_storages(manifest: SnapshotManifest) -> list[StoredStorage]:
    """The storages of a manifest, in its order. Nothing of it is believed unchecked.

    Raises:
        ValueError: Says what is wrong with the manifest, for the message of an error.
    """
    return [
        _chained(storage)
        if storage.HasField("delta")
        else StoredStorage(_digest(storage.digest), storage.size_bytes)
        for storage in manifest.storages
    ]


def _chained(storage: SnapshotStorage) -> StoredStorage:
    digest = _digest(storage.digest)
    delta = storage.delta
    if not 1 <= len(delta.steps) <= MAX_STEPS_READ:
        raise ValueError(f"a storage has {len(delta.steps)} deltas, not 1 to {MAX_STEPS_READ}")
    steps = tuple(DeltaStep(_digest(step.digest), step.size_bytes) for step in delta.steps)
    return StoredStorage(digest, storage.size_bytes, DeltaChain(_digest(delta.root_digest), steps))


def _digest(raw: bytes) -> Digest:
    if len(raw) != Digest.SIZE_BYTES:
        raise ValueError(f"a digest of it has {len(raw)} bytes, not {Digest.SIZE_BYTES}")
    return Digest(raw)
