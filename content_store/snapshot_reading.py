"""Reads a state dict back: each storage of its manifest once, however many tensors view it.

Storages of equal contents stay distinct where they were distinct: a snapshot never makes
an alias.
"""

import torch
from google.protobuf.message import DecodeError

from torchstash.cache.digest import Digest
from torchstash.content_store.devices import CPU, available_device, recorded_device
from torchstash.content_store.engine_errors import store_errors
from torchstash.content_store.errors import CorruptMetadataError, MissingSnapshotError
from torchstash.content_store.metadata import Description, decode
from torchstash.content_store.names import snapshot_key
from torchstash.content_store.read_mode import ReadMode
from torchstash.content_store.rebuild import rebuild, rebuild_plain
from torchstash.content_store.snapshot_decoder import SnapshotDecoder
from torchstash.content_store.storage_source import LOOKUP_ATTEMPTS, StorageSource
from torchstash.proto.content_store.v1.snapshot_manifest_pb2 import SnapshotManifest


def load_snapshot(
    source: StorageSource,
    name: str,
    *,
    device: torch.device | str | int | None,
    mode: ReadMode | str | None,
) -> object:
    """What was saved under `name`.

    Raises:
        MissingSnapshotError: Nothing was.
        CorruptStoreError: The manifest or a storage is damaged.
        UnsupportedDtypeError: The installed PyTorch lacks a dtype.
        DeviceUnavailableError: A device is not on this machine.
    """
    key = snapshot_key(name)
    mapped = source.mapped(mode)
    target = None if device is None else available_device(device)
    for _ in range(LOOKUP_ATTEMPTS):
        with store_errors(source.location):
            data = source.backend().get(key)
        if data is None:
            raise MissingSnapshotError(
                f"no snapshot {name!r} in the content store at {source.location}; check the name "
                "against ContentStoreReader.snapshots"
            )
        manifest, descriptions = parse_manifest(data, name)
        storages = _storages(source, manifest, descriptions, name, target, mapped=mapped)
        if storages is not None:
            tensors = [
                _rebuilt(description, storages[tensor.storage_index])
                for tensor, description in zip(manifest.tensors, descriptions, strict=True)
            ]
            return SnapshotDecoder(tensors, name).decode(manifest.root)
        # A storage was gone: with the snapshot, or else the store is damaged.
        with store_errors(source.location):
            if source.backend().get(key) == data:
                raise _damaged(name, "a storage of it is gone")
    raise source.overtaken(f"the snapshot {name!r}")


def parse_manifest(data: bytes, name: str) -> tuple[SnapshotManifest, list[Description]]:
    """The manifest, and its tensors: checked, in themselves and against their storages.

    Raises:
        CorruptMetadataError: `data` is no sound manifest.
        UnsupportedDtypeError: The installed PyTorch lacks a dtype.
    """
    try:
        manifest = SnapshotManifest.FromString(data)
    except DecodeError as error:
        raise _damaged(name, f"{len(data)} bytes that are no SnapshotManifest") from error
    storages = [(storage.digest, storage.size_bytes) for storage in manifest.storages]
    if any(len(digest) != Digest.SIZE_BYTES for digest, _ in storages):
        raise _damaged(name, f"a digest of it has not {Digest.SIZE_BYTES} bytes")
    descriptions = []
    for i, tensor in enumerate(manifest.tensors):
        index = tensor.storage_index
        if index >= len(storages):
            raise _damaged(name, f"it has no storage {index}")
        serialized = tensor.metadata.SerializeToString(deterministic=True)
        digest, description = decode(serialized, f"{name}, number {i}")
        if (digest, description.storage_size_bytes) != storages[index]:
            raise _damaged(name, f"tensor {i} and storage {index} contradict each other")
        descriptions.append(description)
    return manifest, descriptions


def _storages(
    source: StorageSource,
    manifest: SnapshotManifest,
    descriptions: list[Description],
    name: str,
    target: torch.device | None,
    *,
    mapped: bool,
) -> list[torch.UntypedStorage] | None:
    """A fresh storage for each of the manifest, on its device; None where one is gone."""
    digests = [Digest(storage.digest) for storage in manifest.storages]
    with store_errors(source.location):
        blobs = source.backend().locate_all_contents(digests)
    devices = [target or CPU] * len(blobs)
    if target is None:
        for tensor, description in zip(manifest.tensors, descriptions, strict=True):
            if description.plain is None or not description.plain.on_cpu:
                devices[tensor.storage_index] = recorded_device(description.metadata, name)
    found: dict[int, torch.UntypedStorage] = {}
    for device in set(devices):
        indices = [i for i, where in enumerate(devices) if where == device]
        present = [blob for i in indices if (blob := blobs[i]) is not None]
        if len(present) != len(indices):
            return None
        if any(
            blob.size_bytes != manifest.storages[i].size_bytes
            for i, blob in zip(indices, present, strict=True)
        ):
            raise _damaged(name, "a storage of it has another size in the store")
        loaded = source.all_fresh(present, device, f"the snapshot {name!r}", mapped=mapped)
        if loaded is None:
            return None
        found.update(zip(indices, loaded, strict=True))
    return [found[i] for i in range(len(blobs))]


def _rebuilt(description: Description, storage: torch.UntypedStorage) -> torch.Tensor:
    if description.plain is not None:
        return rebuild_plain(description.plain, storage)
    return rebuild(description.metadata, storage)


def _damaged(name: str, problem: str) -> CorruptMetadataError:
    return CorruptMetadataError(f"the snapshot {name!r} is damaged: {problem}; save it again")
