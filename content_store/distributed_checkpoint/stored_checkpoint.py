"""A checkpoint as it lies in the store: what its manifest says, and its tensors when asked.

Nothing of a manifest is believed unchecked.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from google.protobuf.message import DecodeError
from torch.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    StorageMeta,
    TensorProperties,
    TensorStorageMetadata,
)

from torchstash.cache.digest import Digest
from torchstash.content_store import checkpoint_tree
from torchstash.content_store.errors import CorruptMetadataError, UnsupportedValueError
from torchstash.content_store.metadata import Description, decode
from torchstash.content_store.snapshot_decoder import SnapshotDecoder
from torchstash.proto.content_store.v1.snapshot_manifest_pb2 import (
    SnapshotDict,
    SnapshotManifest,
    SnapshotValue,
)

_MALFORMED: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True)
class StoredTensor:
    """One of the manifest's tensors, by its number."""

    number: int
    digest: Digest
    storage_size_bytes: int
    description: Description


class StoredCheckpoint:
    """What is kept under one name, as `torch.distributed.checkpoint` speaks of it.

    Attributes:
        metadata: The names with their sizes, dtypes and chunks; the planner's data.
        chunks: The tensor of each chunk.

    Raises:
        CorruptMetadataError: It is damaged, or contradicts itself.
        UnsupportedValueError: It is no checkpoint, or of a later release.
        UnsupportedDtypeError: The installed PyTorch lacks a dtype.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self._name = name
        try:
            self._manifest = SnapshotManifest.FromString(data)
        except DecodeError as error:
            raise self._damaged(f"{len(data)} bytes that are no SnapshotManifest") from error
        self.chunks: dict[MetadataIndex, StoredTensor] = {}
        self._values: dict[str, SnapshotValue] = {}
        # Decoded over a range, a tensor is its number.
        self._numbers = SnapshotDecoder(range(len(self._manifest.tensors)), name)
        root = self._entries(self._manifest.root)
        if checkpoint_tree.MARK not in root:
            raise UnsupportedValueError(
                f"the snapshot {name!r} was not saved by torch.distributed.checkpoint; read it "
                "with ContentStoreReader.load_state_dict"
            )
        checkpoint_tree.require_known(self._numbers.decode(root[checkpoint_tree.MARK]), name)
        try:
            self.metadata = self._metadata(root)
        except _MALFORMED as error:
            raise self._damaged(f"what it says of its tensors makes no sense ({error})") from error

    def tensors_of(self, key: str) -> list[StoredTensor]:
        """The tensors inside a value that is no tensor itself: in a tuple, say."""
        try:
            return [self._tensor(number) for number in _numbers_in(self._value(key))]
        except _MALFORMED as error:
            raise self._damaged(f"what it says of {key!r} makes no sense ({error})") from error

    def value(self, key: str, tensors: Mapping[int, torch.Tensor]) -> object:
        """What is no tensor, over the tensors inside it, by their numbers."""
        try:
            return SnapshotDecoder(_ByNumber(tensors), self._name).decode(self._value(key))
        except LookupError as error:
            raise self._damaged(f"{key!r} refers to a tensor where none can be") from error

    def _value(self, key: str) -> SnapshotValue:
        value = self._values.get(key)
        if value is None:
            raise self._damaged(f"{key!r} is a tensor in it, and was planned as another value")
        return value

    def _metadata(self, root: Mapping[str, SnapshotValue]) -> Metadata:
        described: dict[str, TensorStorageMetadata | BytesStorageMetadata] = {}
        for key, item in self._entries(root[checkpoint_tree.STATE_DICT]).items():
            found = self._entries(item)
            if checkpoint_tree.VALUE in found:
                self._values[key] = found[checkpoint_tree.VALUE]
                described[key] = BytesStorageMetadata()
            else:
                described[key] = self._described(key, self._decoded(found))
        facts: Any = self._numbers.decode(root["facts"])
        return Metadata(
            state_dict_metadata=described,
            planner_data=self._numbers.decode(root[checkpoint_tree.PLANNER_DATA]),
            storage_data=self.chunks,
            storage_meta=StorageMeta(self._name, facts["save_id"], modules=list(facts["modules"])),
        )

    def _described(self, key: str, item: Mapping[str, Any]) -> TensorStorageMetadata:
        size: torch.Size = item[checkpoint_tree.SIZE]
        chunks = []
        for i, (offsets, number) in enumerate(item[checkpoint_tree.CHUNKS]):
            tensor = self._tensor(number)
            sizes = torch.Size(tensor.description.metadata.sizes)
            if any(
                not 0 <= offset <= offset + length <= most
                for offset, length, most in zip(offsets, sizes, size, strict=True)
            ):
                raise ValueError(f"a chunk of {key!r} lies outside of it")
            chunks.append(ChunkStorageMetadata(torch.Size(offsets), sizes))
            self.chunks[MetadataIndex(key, offsets, i)] = tensor
        properties = TensorProperties(
            dtype=item[checkpoint_tree.DTYPE], requires_grad=item[checkpoint_tree.REQUIRES_GRAD]
        )
        return TensorStorageMetadata(properties, torch.Size(size), chunks)

    def _tensor(self, number: int) -> StoredTensor:
        tensor = self._manifest.tensors[number]
        storage = self._manifest.storages[tensor.storage_index]
        serialized = tensor.metadata.SerializeToString(deterministic=True)
        digest, description = decode(serialized, f"{self._name}, number {number}")
        if (digest, description.storage_size_bytes) != (storage.digest, storage.size_bytes):
            raise ValueError(f"tensor {number} and its storage contradict each other")
        return StoredTensor(number, Digest(digest), storage.size_bytes, description)

    def _entries(self, value: SnapshotValue) -> dict[str, SnapshotValue]:
        return {entry.key.text: entry.value for entry in value.dict.entries}

    def _decoded(self, values: Mapping[str, SnapshotValue]) -> dict[str, Any]:
        return {key: self._numbers.decode(value) for key, value in values.items()}

    def _damaged(self, problem: str) -> CorruptMetadataError:
        return CorruptMetadataError(
            f"the checkpoint {self._name!r} is damaged: {problem}; save it again"
        )


class _ByNumber:
    """Some tensors of a manifest, where a decoder looks for all."""

    def __init__(self, tensors: Mapping[int, torch.Tensor]) -> None:
        self._tensors = tensors

    def __len__(self) -> int:
        return max(self._tensors, default=-1) + 1

    def __getitem__(self, number: int) -> torch.Tensor:
        return self._tensors[number]


def _numbers_in(value: SnapshotValue) -> Iterator[int]:
    kind = value.WhichOneof("kind")
    if kind == "tensor_index":
        yield value.tensor_index
    elif kind in ("list", "tuple"):
        for inner in getattr(value, kind).values:
            yield from _numbers_in(inner)
    elif kind in ("dict", "ordered_dict"):
        pairs: SnapshotDict = getattr(value, kind)
        for entry in pairs.entries:
            yield from _numbers_in(entry.value)
        if pairs.HasField("module_metadata"):
            yield from _numbers_in(pairs.module_metadata)
