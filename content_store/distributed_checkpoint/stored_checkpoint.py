"""A checkpoint as it lies in the store: what its manifest says, and its tensors when asked.

A snapshot that `save_state_dict` kept is one as well, each tensor of it in one chunk: so that what
one process saved is loaded by many. Nothing of a manifest is believed unchecked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from google.protobuf.message import DecodeError
from torch.distributed.checkpoint._nested_dict import flatten_state_dict
from torch.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    StorageMeta,
    TensorProperties,
    TensorStorageMetadata,
)

from torchstash.cache.blake3_hasher import hash_whole
from torchstash.cache.digest import Digest
from torchstash.content_store import checkpoint_tree, dtypes
from torchstash.content_store.distributed_checkpoint.stand_ins import StandIns
from torchstash.content_store.errors import (
    ContentStoreError,
    CorruptMetadataError,
    UnsupportedValueError,
)
from torchstash.content_store.metadata import Description, decode
from torchstash.content_store.snapshot_decoder import SnapshotDecoder
from torchstash.proto.content_store.v1.snapshot_manifest_pb2 import SnapshotManifest

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
        version: Equal for equal checkpoints alone.
        tree: What `load_state_dict` loads as it is, over stand-ins; None: what ranks saved.

    Raises:
        CorruptMetadataError: It is damaged, or contradicts itself.
        UnsupportedValueError: It is no dict, or of a later release.
        UnsupportedDtypeError: The installed PyTorch lacks a dtype.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self._name = name
        self.version = hash_whole(memoryview(data))
        self.tree: dict[str, Any] | None = None
        try:
            self._manifest = SnapshotManifest.FromString(data)
        except DecodeError as error:
            raise self._damaged(f"{len(data)} bytes that are no SnapshotManifest") from error
        self.chunks: dict[MetadataIndex, StoredTensor] = {}
        self._values: dict[str, object] = {}
        self._stand_ins = StandIns(len(self._manifest.tensors))
        tree: Any = SnapshotDecoder(self._stand_ins.tensors, name).decode(self._manifest.root)
        try:
            if checkpoint_tree.is_checkpoint(tree):
                checkpoint_tree.require_known(tree[checkpoint_tree.MARK], name)
                self.metadata = self._of_ranks(tree)
            elif isinstance(tree, dict):
                self.tree = tree
                self.metadata = self._of_one_process(tree)
            else:
                raise UnsupportedValueError(
                    f"the snapshot {name!r} is a {type(tree).__qualname__}, and a checkpoint is a "
                    "dict; read it with ContentStoreReader.load_state_dict"
                )
        except ContentStoreError:
            raise
        except _MALFORMED as error:
            raise self._damaged(f"what it says of its tensors makes no sense ({error})") from error

    def tensors_of(self, key: str) -> list[StoredTensor]:
        """The tensors inside a value that is no tensor itself: in a tuple, say."""
        return [self._tensor(number) for number in self._stand_ins.numbers_in(self._value(key))]

    def value(self, key: str, tensors: Mapping[int, torch.Tensor]) -> object:
        """What is no tensor, over the tensors inside it, by their numbers."""
        return self._stand_ins.replaced(self._value(key), tensors)

    def numbered(self, loaded: object) -> dict[int, torch.Tensor]:
        """The tensors of what `load_state_dict` gave, by their numbers."""
        return dict(self._stand_ins.numbered(self.tree, loaded))

    def _value(self, key: str) -> object:
        if key not in self._values:
            raise self._damaged(f"{key!r} is a tensor in it, and was planned as another value")
        return self._values[key]

    def _of_ranks(self, tree: Mapping[str, Any]) -> Metadata:
        described: dict[str, TensorStorageMetadata | BytesStorageMetadata] = {}
        for key, item in tree[checkpoint_tree.STATE_DICT].items():
            if checkpoint_tree.VALUE in item:
                described[key] = self._describe_value(key, item[checkpoint_tree.VALUE])
                continue
            properties = TensorProperties(
                dtype=item[checkpoint_tree.DTYPE], requires_grad=item[checkpoint_tree.REQUIRES_GRAD]
            )
            described[key] = self._describe_tensor(
                key, properties, item[checkpoint_tree.SIZE], item[checkpoint_tree.CHUNKS]
            )
        facts = tree[checkpoint_tree.FACTS]
        meta = StorageMeta(self._name, facts["save_id"], modules=list(facts["modules"]))
        return self._metadata(described, tree[checkpoint_tree.PLANNER_DATA], meta)

    def _of_one_process(self, tree: dict[str, Any]) -> Metadata:
        described: dict[str, TensorStorageMetadata | BytesStorageMetadata] = {}
        flat, paths = flatten_state_dict(tree)
        for key, value in flat.items():
            if not isinstance(value, torch.Tensor):
                described[key] = self._describe_value(key, value)
                continue
            metadata = self._tensor(self._stand_ins.number_of(value)).description.metadata
            properties = TensorProperties(
                dtype=dtypes.dtype_named(metadata.dtype), requires_grad=metadata.requires_grad
            )
            size = torch.Size(metadata.sizes)
            described[key] = self._describe_tensor(
                key, properties, size, [(torch.Size([0] * len(size)), value)]
            )
        return self._metadata(described, paths, StorageMeta(self._name))

    def _metadata(
        self,
        described: dict[str, TensorStorageMetadata | BytesStorageMetadata],
        planner_data: object,
        meta: StorageMeta,
    ) -> Metadata:
        return Metadata(described, planner_data, storage_data=self.chunks, storage_meta=meta)

    def _describe_value(self, key: str, value: object) -> BytesStorageMetadata:
        self._values[key] = value
        return BytesStorageMetadata()

    def _describe_tensor(
        self,
        key: str,
        properties: TensorProperties,
        size: torch.Size,
        chunks: list[tuple[torch.Size, torch.Tensor]],
    ) -> TensorStorageMetadata:
        described = []
        for i, (offsets, stand_in) in enumerate(chunks):
            tensor = self._tensor(self._stand_ins.number_of(stand_in))
            sizes = torch.Size(tensor.description.metadata.sizes)
            if any(
                not 0 <= offset <= offset + length <= most
                for offset, length, most in zip(offsets, sizes, size, strict=True)
            ):
                raise ValueError(f"a chunk of {key!r} lies outside of it")
            described.append(ChunkStorageMetadata(torch.Size(offsets), sizes))
            self.chunks[MetadataIndex(key, offsets, i)] = tensor
        return TensorStorageMetadata(properties, torch.Size(size), described)

    def _tensor(self, number: int) -> StoredTensor:
        tensor = self._manifest.tensors[number]
        if tensor.storage_index >= len(self._manifest.storages):
            raise self._damaged(f"it has no storage {tensor.storage_index}")
        storage = self._manifest.storages[tensor.storage_index]
        serialized = tensor.metadata.SerializeToString(deterministic=True)
        digest, description = decode(serialized, f"{self._name}, number {number}")
        if (digest, description.storage_size_bytes) != (storage.digest, storage.size_bytes):
            raise self._damaged(f"tensor {number} and its storage contradict each other")
        return StoredTensor(number, Digest(digest), storage.size_bytes, description)

    def _damaged(self, problem: str) -> CorruptMetadataError:
        return CorruptMetadataError(
            f"the checkpoint {self._name!r} is damaged: {problem}; save it again"
        )
