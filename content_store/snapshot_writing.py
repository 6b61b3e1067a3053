"""Keeps a state dict as one entry: its storages by content, and a manifest over them.

One commit: the manifest names the snapshot, and links the storages, which stay for as
long as any manifest or name leads to them.
"""

from torchstash.cache.disk import DiskBackend, Put
from torchstash.content_store.metadata import encode
from torchstash.content_store.names import snapshot_key
from torchstash.content_store.snapshot_encoder import SnapshotEncoder
from torchstash.content_store.storage_keeper import keep_storages
from torchstash.proto.content_store.v1.snapshot_manifest_pb2 import SnapshotManifest


def save_snapshot(backend: DiskBackend, name: str, state_dict: object) -> None:
    """Keeps `state_dict` under `name`, in place of what was there.

    Raises:
        InvalidNameError: `name` is not 1 byte to 1 KiB of UTF-8.
        UnsupportedError: Something in it cannot be kept exactly; says where.
        BackendError: It could not be written; the store is as it was.
    """
    key = snapshot_key(name)
    manifest = SnapshotManifest()
    encoder = SnapshotEncoder()
    encoder.encode(state_dict, manifest.root)
    with backend.batch() as batch:
        digests = keep_storages(batch, encoder.storages)
        for storage, digest in zip(encoder.storages, digests, strict=True):
            manifest.storages.add(digest=digest.raw, size_bytes=storage.nbytes())
        for tensor, index in encoder.tensors:
            added = manifest.tensors.add(storage_index=index)
            size_bytes = manifest.storages[index].size_bytes
            added.metadata.MergeFromString(encode(tensor, digests[index], size_bytes))
        data = manifest.SerializeToString(deterministic=True)
        batch.add(Put(key, data, links=list(dict.fromkeys(digests))))
