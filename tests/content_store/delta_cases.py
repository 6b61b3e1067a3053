"""Tensors that differ a little, and what a store makes of them."""

import random
from pathlib import Path

import torch

from torchstash.cache.disk import DiskBackend
from torchstash.content_store import ContentStoreWriter
from torchstash.proto.content_store.v1.snapshot_manifest_pb2 import SnapshotManifest
from torchstash.tests.content_store.storages import tensor_of

# Of a chain that `save_chain` makes.
LENGTH = 3


def noise(size_bytes: int, seed: int = 0) -> torch.Tensor:
    return tensor_of(random.Random(seed).randbytes(size_bytes))


def scattered(tensor: torch.Tensor, seed: int = 1, fraction: float = 0.01) -> torch.Tensor:
    """A copy in which some elements have changed."""
    changed = torch.rand(tensor.shape, generator=torch.Generator().manual_seed(seed)) < fraction
    changed.view(-1)[0] = True
    return torch.where(changed.to(tensor.device), tensor + 1, tensor)


def stored_bytes(location: Path) -> int:
    with DiskBackend.open_read_only(location) as backend:
        return backend.stats().stored_bytes


def depths(location: Path, name: str) -> list[int]:
    with DiskBackend.open_read_only(location) as backend:
        manifest = SnapshotManifest.FromString(backend.get(f"snapshots/{name}") or b"")
    return [len(storage.delta.steps) for storage in manifest.storages]


def save_chain(writer: ContentStoreWriter, size_bytes: int) -> list[dict[str, torch.Tensor]]:
    """Snapshots "0" to "3", each saved against the one before."""
    versions = [{"model.w": noise(size_bytes)}]
    writer.save_state_dict("0", versions[0])
    for i in range(LENGTH):
        versions.append({"model.w": scattered(versions[-1]["model.w"], i)})
        writer.save_state_dict(str(i + 1), versions[-1], base=str(i))
    return versions
