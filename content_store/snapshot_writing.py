"""Keeps a state dict as one entry: its storages by content, and a manifest over them.

One commit: the manifest names the snapshot, and links the storages, or what they are made from,
which stay for as long as any manifest or name leads to them.
"""

from typing import Final

from torchstash.cache.digest import Digest
from torchstash.cache.disk import Batch, DiskBackend, Put
from torchstash.cache.errors import MissingLinkError
from torchstash.content_store.deltas import (
    BaseSnapshot,
    DeltaKeeper,
    SpentDeltaError,
    StoredStorage,
)
from torchstash.content_store.errors import MissingSnapshotError
from torchstash.content_store.metadata import encode
from torchstash.content_store.names import snapshot_key
from torchstash.content_store.snapshot_encoder import SnapshotEncoder
from torchstash.content_store.storage_keeper import keep_storages
from torchstash.proto.content_store.v1.snapshot_manifest_pb2 import SnapshotManifest

# A base can be deleted while a snapshot is saved against it, together with what only it led to.
_ATTEMPTS: Final = 3
_LONGEST_WORD_BYTES: Final = 8


def save_snapshot(
    backend: DiskBackend, name: str, state_dict: object, base: str | None = None
) -> None:
    """Keeps `state_dict` under `name`, in place of what was there.

    Args:
        backend: The store.
        name: Of the snapshot.
        state_dict: What to keep.
        base: A snapshot of which this one is a small change; None: keep every storage in full.

    Raises:
        InvalidNameError: `name` or `base` is not 1 byte to 1 KiB of UTF-8.
        MissingSnapshotError: There is no snapshot `base`.
        UnsupportedError: Something in it cannot be kept exactly; says where.
        StoreUnavailableError: A delta could not be kept meanwhile; the store is as it was.
        BackendError: It could not be written; the store is as it was.
    """
    key = snapshot_key(name)
    against = None if base is None else BaseSnapshot.read(backend, base)
    manifest = SnapshotManifest()
    encoder = SnapshotEncoder()
    encoder.encode(state_dict, manifest.root)
    for _, index in encoder.tensors:
        manifest.tensors.add(storage_index=index)
    for _ in range(_ATTEMPTS):
        if base is None or against is None:
            break
        try:
            _save(backend, key, manifest, encoder, against)
        except (MissingLinkError, SpentDeltaError):
            against = _read_again(backend, base)
        else:
            return
    _save(backend, key, manifest, encoder, None)


def _read_again(backend: DiskBackend, name: str) -> BaseSnapshot | None:
    """The base as it is now; None: it is gone. It was there, so what is saved is saved in full."""
    try:
        return BaseSnapshot.read(backend, name)
    except MissingSnapshotError:
        return None


def _save(
    backend: DiskBackend,
    key: str,
    manifest: SnapshotManifest,
    encoder: SnapshotEncoder,
    against: BaseSnapshot | None,
) -> None:
    """One attempt, of which nothing stays where it raises."""
    with backend.batch() as batch:
        kept = _kept(backend, batch, manifest, encoder, against)
        del manifest.storages[:]
        for storage in kept:
            storage.record(manifest.storages.add())
        for message, (tensor, index) in zip(manifest.tensors, encoder.tensors, strict=True):
            of = kept[index]
            message.metadata.ParseFromString(encode(tensor, of.digest, of.size_bytes))
        data = manifest.SerializeToString(deterministic=True)
        links = dict.fromkeys(digest for storage in kept for digest in storage.digests())
        batch.add(Put(key, data, links=list(links)))
        batch.drop_if_kept()


def _kept(
    backend: DiskBackend,
    batch: Batch,
    manifest: SnapshotManifest,
    encoder: SnapshotEncoder,
    against: BaseSnapshot | None,
) -> list[StoredStorage]:
    storages = encoder.storages
    if against is not None:
        words_bytes = [1] * len(storages)
        for tensor, index in encoder.tensors:
            words_bytes[index] = max(words_bytes[index], min(tensor.itemsize, _LONGEST_WORD_BYTES))
        return DeltaKeeper(backend, batch, against).keep(storages, words_bytes, manifest)
    digests: list[Digest] = keep_storages(batch, storages)
    return [
        StoredStorage(digest, storage.nbytes())
        for digest, storage in zip(digests, storages, strict=True)
    ]
