"""A `SnapshotManifest` that was read: checked in itself, and believed only then."""

from dataclasses import dataclass

from google.protobuf.message import DecodeError

from torchstash.content_store.deltas import StoredStorage, storage_paths, stored_storages
from torchstash.content_store.errors import CorruptMetadataError
from torchstash.content_store.metadata import Description, decode
from torchstash.proto.content_store.v1.snapshot_manifest_pb2 import SnapshotManifest


@dataclass(frozen=True, slots=True)
class ParsedSnapshot:
    """What is known of a snapshot; see `parse_snapshot`.

    Attributes:
        name: Of the snapshot.
        manifest: All of it, with its tree.
        storages: How each storage is kept.
        indices: For each tensor, which of the storages it is over.
        descriptions: What each tensor is, over that storage.
    """

    name: str
    manifest: SnapshotManifest
    storages: list[StoredStorage]
    indices: list[int]
    descriptions: list[Description]

    def places(self) -> dict[int, str]:
        """For each storage, by its index, where the first tensor over it is in the tree."""
        places: dict[int, str] = {}
        for path, index in storage_paths(self.manifest):
            places.setdefault(index, path or "the top")
        return places

    def damaged(self, problem: str) -> CorruptMetadataError:
        """The error that says what is wrong with it."""
        return damaged_snapshot(self.name, problem)


def parse_snapshot(data: bytes, name: str) -> ParsedSnapshot:
    """The manifest that was stored for the snapshot `name`.

    Raises:
        CorruptMetadataError: No `SnapshotManifest`, or one that contradicts itself.
        UnsupportedDtypeError: Sound, but of a dtype that this PyTorch does not have.
    """
    try:
        manifest = SnapshotManifest.FromString(data)
    except DecodeError as error:
        problem = f"{len(data)} bytes that are no SnapshotManifest"
        raise damaged_snapshot(name, problem) from error
    try:
        storages = stored_storages(manifest)
    except ValueError as error:
        raise damaged_snapshot(name, str(error)) from error
    tensors = manifest.tensors
    indices = [tensor.storage_index for tensor in tensors]
    if indices and max(indices) >= len(storages):
        raise damaged_snapshot(name, f"it has no storage {max(indices)}")
    # Serialized again, because equal kinds of tensors are checked once by their bytes.
    serialized = [tensor.metadata.SerializeToString() for tensor in tensors]
    descriptions = []
    for i, (index, metadata) in enumerate(zip(indices, serialized, strict=True)):
        digest, description = decode(metadata, f"{name}, number {i}")
        storage = storages[index]
        if digest != storage.digest.raw or description.storage_size_bytes != storage.size_bytes:
            raise damaged_snapshot(name, f"tensor {i} and storage {index} contradict each other")
        descriptions.append(description)
    return ParsedSnapshot(name, manifest, storages, indices, descriptions)


def damaged_snapshot(name: str, problem: str) -> CorruptMetadataError:
    """The error for a snapshot whose manifest is not what was saved."""
    return CorruptMetadataError(f"the snapshot {name!r} is damaged: {problem}; save it again")
