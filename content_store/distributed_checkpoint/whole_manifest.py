"""The manifest of a whole checkpoint, made of those of its parts and of what the planner knows.

Its layout is that of `content_store/checkpoint_tree.py`.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorStorageMetadata,
)

from torchstash.content_store import checkpoint_tree
from torchstash.content_store.distributed_checkpoint.part import PartItem
from torchstash.content_store.errors import IncompleteCheckpointError
from torchstash.content_store.snapshot_encoder import SnapshotEncoder
from torchstash.proto.content_store.v1.snapshot_manifest_pb2 import (
    SnapshotDict,
    SnapshotManifest,
    SnapshotValue,
)

Items = Mapping[MetadataIndex, PartItem]


class _Part(NamedTuple):
    manifest: SnapshotManifest
    # How many tensors of the whole come before its own.
    first_tensor: int


def whole_manifest(
    metadata: Metadata, items: Items, parts: Mapping[str, SnapshotManifest], facts: object
) -> SnapshotManifest:
    """The manifest.

    Args:
        metadata: What the planner says of the checkpoint.
        items: Where each item of it lies.
        parts: The manifests of the parts, by key.
        facts: A dict of what else is to be kept of it.

    Raises:
        IncompleteCheckpointError: A chunk or a value was not written by any rank.
        UnsupportedValueError: The planner's data are not of types that a snapshot holds.
    """
    merged = SnapshotManifest()
    placed = {key: _add_part(merged, part) for key, part in parts.items()}
    root = merged.root.dict
    _encode(checkpoint_tree.VERSION, _entry(root, checkpoint_tree.MARK))
    state_dict = _entry(root, checkpoint_tree.STATE_DICT).dict
    state_dict.SetInParent()
    for name in _in_order(metadata):
        described = metadata.state_dict_metadata[name]
        target = _entry(state_dict, name).dict
        if isinstance(described, BytesStorageMetadata):
            found = _item(MetadataIndex(name), items, placed)
            _entry(target, checkpoint_tree.VALUE).CopyFrom(found)
        else:
            _add_tensor(target, name, described, items, placed)
    _encode(metadata.planner_data, _entry(root, checkpoint_tree.PLANNER_DATA))
    _encode(facts, _entry(root, checkpoint_tree.FACTS))
    return merged


def _in_order(metadata: Metadata) -> list[str]:
    """The names as they stood in the state dict, which the planner's data tell: ranks mix them."""
    names = dict.fromkeys(metadata.state_dict_metadata)
    if not isinstance(metadata.planner_data, Mapping):
        return list(names)
    first = [name for name in metadata.planner_data if name in names]
    return list(dict.fromkeys(first) | names)


def _add_part(merged: SnapshotManifest, part: SnapshotManifest) -> _Part:
    first_storage, first_tensor = len(merged.storages), len(merged.tensors)
    merged.storages.extend(part.storages)
    for tensor in part.tensors:
        added = merged.tensors.add()
        added.CopyFrom(tensor)
        added.storage_index += first_storage
    return _Part(part, first_tensor)


def _add_tensor(
    target: SnapshotDict,
    name: str,
    described: TensorStorageMetadata,
    items: Items,
    placed: Mapping[str, _Part],
) -> None:
    _encode(torch.Size(described.size), _entry(target, checkpoint_tree.SIZE))
    _encode(described.properties.dtype, _entry(target, checkpoint_tree.DTYPE))
    _encode(described.properties.requires_grad, _entry(target, checkpoint_tree.REQUIRES_GRAD))
    chunks = _entry(target, checkpoint_tree.CHUNKS).list
    chunks.SetInParent()
    for chunk in described.chunks:
        pair = chunks.values.add().tuple.values
        _encode(torch.Size(chunk.offsets), pair.add())
        pair.add().CopyFrom(_item(MetadataIndex(name, chunk.offsets), items, placed))


def _item(index: MetadataIndex, items: Items, placed: Mapping[str, _Part]) -> SnapshotValue:
    """What a rank wrote there, with its tensors by their numbers in the whole."""
    item = items.get(index)
    part = None if item is None else placed.get(item.key)
    if item is None or part is None or item.position >= len(part.manifest.root.list.values):
        where = "" if index.offset is None else f", at {tuple(index.offset)}"
        raise IncompleteCheckpointError(
            f"no rank wrote {index.fqn!r}{where}; nothing of this checkpoint is kept"
        )
    value = SnapshotValue()
    value.CopyFrom(part.manifest.root.list.values[item.position])
    _shift(value, part.first_tensor)
    return value


def _shift(value: SnapshotValue, by: int) -> None:
    kind = value.WhichOneof("kind")
    if kind == "tensor_index":
        value.tensor_index += by
    elif kind in ("list", "tuple"):
        for inner in getattr(value, kind).values:
            _shift(inner, by)
    elif kind in ("dict", "ordered_dict"):
        pairs: SnapshotDict = getattr(value, kind)
        for inner in _values(pairs):
            _shift(inner, by)


def _values(pairs: SnapshotDict) -> Iterable[SnapshotValue]:
    yield from (entry.value for entry in pairs.entries)
    if pairs.HasField("module_metadata"):
        yield pairs.module_metadata


def _entry(target: SnapshotDict, key: str) -> SnapshotValue:
    added = target.entries.add()
    added.key.text = key
    return added.value


def _encode(value: object, target: SnapshotValue) -> None:
    SnapshotEncoder().encode(value, target, "the planner's data", checkpoint_tree.DEPTH)
