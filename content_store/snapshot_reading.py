"""Reads a state dict back: each storage of its manifest once, however many tensors view it.

Storages of equal contents stay distinct where they were distinct: a snapshot never makes
an alias.
"""

import torch

from torchstash.cache.digest import Digest
from torchstash.content_store.devices import available_device
from torchstash.content_store.engine_errors import store_errors
from torchstash.content_store.errors import MissingSnapshotError
from torchstash.content_store.names import snapshot_key
from torchstash.content_store.parsed_snapshot import (
    ParsedSnapshot,
    damaged_snapshot,
    parse_snapshot,
)
from torchstash.content_store.read_mode import ReadMode
from torchstash.content_store.rebuild import rebuild_all
from torchstash.content_store.snapshot_decoder import SnapshotDecoder
from torchstash.content_store.snapshot_storages import load_storages
from torchstash.content_store.snapshot_summary import SnapshotSummary, summarize_snapshot
from torchstash.content_store.storage_source import LOOKUP_ATTEMPTS, StorageSource


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
            raise _missing(source, name)
        snapshot = parse_snapshot(data, name)
        digest = Digest.of(data)
        storages = load_storages(source, snapshot, digest, target, mapped=mapped)
        if storages is not None:
            viewed = map(storages.__getitem__, snapshot.indices)
            tensors = rebuild_all(zip(snapshot.descriptions, viewed, strict=True))
            return SnapshotDecoder(tensors, name).decode(snapshot.manifest.root)
        # A storage was gone: with the snapshot, which may be back, or else the store is damaged.
        if _lacks_a_storage(source, digest, snapshot):
            raise damaged_snapshot(name, "a storage of it is gone")
    raise source.overtaken(f"the snapshot {name!r}")


def describe_snapshot(source: StorageSource, name: str) -> SnapshotSummary:
    """What was saved under `name`, in numbers.

    Raises:
        MissingSnapshotError: Nothing was.
        CorruptMetadataError: The manifest is damaged.
        UnsupportedDtypeError: The installed PyTorch lacks a dtype.
    """
    with store_errors(source.location):
        data = source.backend().get(snapshot_key(name))
    if data is None:
        raise _missing(source, name)
    return summarize_snapshot(parse_snapshot(data, name))


def _lacks_a_storage(
    source: StorageSource, manifest_digest: Digest, snapshot: ParsedSnapshot
) -> bool:
    """Whether, at one instant, the store has the manifest and not all that it needs."""
    needed = [digest for storage in snapshot.storages for digest in storage.digests()]
    with store_errors(source.location):
        manifest, *blobs = source.backend().locate_all_contents([manifest_digest, *needed])
    return manifest is not None and None in blobs


def _missing(source: StorageSource, name: str) -> MissingSnapshotError:
    return MissingSnapshotError(
        f"no snapshot {name!r} in the content store at {source.location}; check the name "
        "against ContentStoreReader.snapshots"
    )
