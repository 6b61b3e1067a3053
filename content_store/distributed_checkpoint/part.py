"""What one rank writes of a checkpoint: a manifest whose root lists the items, and their storages.

An item is a tensor, or a value that is no tensor. No pickle reaches the store: a value that a
snapshot cannot hold is refused by its name.
"""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import torch
from torch.distributed.checkpoint import DefaultSavePlanner
from torch.distributed.checkpoint.planner import SavePlanner, WriteItem, WriteItemType

from torchstash.cache.disk import DiskBackend, Put
from torchstash.content_store import checkpoint_tree
from torchstash.content_store.errors import UnsupportedTensorError, UnsupportedValueError
from torchstash.content_store.metadata import encode
from torchstash.content_store.snapshot_encoder import SnapshotEncoder
from torchstash.content_store.storage_keeper import keep_storages
from torchstash.proto.content_store.v1.snapshot_manifest_pb2 import SnapshotManifest

PART_BYTES: Final = 1 << 30
"""Of tensors that a rank resolves, and holds copies of, before it writes them."""


@dataclass(frozen=True)
class PartItem:
    """Where the coordinator finds an item: the entry of its part, and the place in its root."""

    key: str
    position: int


def parts_of(
    items: Iterable[WriteItem], planner: SavePlanner, *, part_bytes: int = PART_BYTES
) -> Iterator[list[tuple[WriteItem, object]]]:
    """The items with what they stand for, in runs of at most `part_bytes` but for the last item.

    Each run must be done with before the next is asked for: what a planner makes for it is freed.

    Raises:
        UnsupportedValueError: Something cannot be kept; says under which name it is.
    """
    part: list[tuple[WriteItem, object]] = []
    size_bytes = 0
    for item in items:
        value = _resolved(item, planner)
        part.append((item, value))
        if isinstance(value, torch.Tensor):
            size_bytes += value.numel() * value.element_size()
        if size_bytes >= part_bytes:
            yield part
            part, size_bytes = [], 0
    if part:
        yield part


def write_part(backend: DiskBackend, key: str, part: Iterable[tuple[WriteItem, object]]) -> None:
    """Keeps a part under `key`, in one commit; storages that the store has are not written again.

    Raises:
        UnsupportedError: Something cannot be kept exactly; says under which name it is.
        BackendError: It could not be written; the store is as it was.
    """
    manifest = SnapshotManifest()
    manifest.root.list.SetInParent()
    encoder = SnapshotEncoder()
    for item, value in part:
        target = manifest.root.list.values.add()
        encoder.encode(value, target, f"[{item.index.fqn!r}]", checkpoint_tree.DEPTH)
    with backend.batch() as batch:
        digests = keep_storages(batch, encoder.storages)
        for storage, digest in zip(encoder.storages, digests, strict=True):
            manifest.storages.add(digest=digest.raw, size_bytes=storage.nbytes())
        for tensor, index in encoder.tensors:
            size_bytes = manifest.storages[index].size_bytes
            added = manifest.tensors.add(storage_index=index)
            added.metadata.MergeFromString(encode(tensor, digests[index], size_bytes))
            # The devices of ranks mean nothing to who reads: each tells where it wants what.
            added.metadata.device.Clear()
            added.metadata.device.type = "cpu"
        data = manifest.SerializeToString(deterministic=True)
        batch.add(Put(key, data, links=list(dict.fromkeys(digests))))


def _resolved(item: WriteItem, planner: SavePlanner) -> object:
    if item.type is WriteItemType.BYTE_IO:
        return _value_of(item, planner)
    tensor = planner.resolve_data(item)
    if not isinstance(tensor, torch.Tensor):
        raise UnsupportedValueError(
            f"the planner gave {type(tensor).__qualname__} for the tensor {item.index.fqn!r}"
        )
    if item.tensor_data is not None and tensor.shape != item.tensor_data.chunk.sizes:
        raise UnsupportedTensorError(
            f"the tensor {item.index.fqn!r} was planned as a chunk of "
            f"{tuple(item.tensor_data.chunk.sizes)}, and is one of {tuple(tensor.shape)}"
        )
    return _projected(tensor.detach())


def _projected(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor without what else its storage holds."""
    if (
        tensor.layout is torch.strided
        and tensor.device.type != "meta"
        and tensor.untyped_storage().nbytes() > tensor.numel() * tensor.element_size()
    ):
        return tensor.clone(memory_format=torch.contiguous_format)
    return tensor


def _value_of(item: WriteItem, planner: SavePlanner) -> object:
    """What is no tensor, as it is in the state dict, where the planner does not change it."""
    if isinstance(planner, DefaultSavePlanner) and all(
        getattr(type(planner), name) is getattr(DefaultSavePlanner, name)
        for name in ("resolve_data", "transform_object")
    ):
        return planner.lookup_object(item.index)
    stream = planner.resolve_data(item)
    if isinstance(stream, torch.Tensor):
        return _projected(stream.detach())
    try:
        return torch.load(io.BytesIO(stream.getbuffer()), weights_only=True)
    except Exception as error:  # The unpickler of plain types raises whatever bytes lead it to.
        raise UnsupportedValueError(
            f"what the planner {type(planner).__qualname__} makes of {item.index.fqn!r} is no "
            "value of plain types, and a store keeps no pickles; let it make tensors, or plain "
            "values with torch.save"
        ) from error
