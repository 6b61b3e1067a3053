"""Where the tensors of a snapshot's tree are, in words that are equal for equal places."""

from collections.abc import Iterator

from torchstash.proto.content_store.v1.snapshot_manifest_pb2 import (
    SnapshotDict,
    SnapshotManifest,
    SnapshotValue,
)


def tensor_paths(value: SnapshotValue, path: str = "") -> Iterator[tuple[str, int]]:
    """The path and the index of each tensor below `value`, like `['model']['weight']`."""
    match value.WhichOneof("kind"):
        case "tensor_index":
            yield path, value.tensor_index
        case "list":
            for i, item in enumerate(value.list.values):
                yield from tensor_paths(item, f"{path}[{i}]")
        case "tuple":
            for i, item in enumerate(value.tuple.values):
                yield from tensor_paths(item, f"{path}[{i}]")
        case "dict":
            yield from _in_dict(value.dict, path)
        case "ordered_dict":
            yield from _in_dict(value.ordered_dict, path)


def storage_paths(manifest: SnapshotManifest) -> Iterator[tuple[str, int]]:
    """The path of each tensor, and the index of its storage; none for what leads nowhere."""
    for path, index in tensor_paths(manifest.root):
        if index < len(manifest.tensors):
            yield path, manifest.tensors[index].storage_index


def _in_dict(value: SnapshotDict, path: str) -> Iterator[tuple[str, int]]:
    for entry in value.entries:
        yield from tensor_paths(entry.value, f"{path}[{_key(entry.key)}]")
    if value.HasField("module_metadata"):
        yield from tensor_paths(value.module_metadata, f"{path}._metadata")


def _key(key: SnapshotValue) -> str:
    match key.WhichOneof("kind"):
        case "text":
            return repr(key.text)
        case "integer":
            return str(key.integer)
        case kind:
            return f"<{kind} {key.SerializeToString(deterministic=True).hex()}>"
