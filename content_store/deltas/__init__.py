"""Storages kept as how they differ from those of another snapshot.

A delta is XOR with a storage of the same size, compressed by Zstandard; `StorageDelta` in proto
has the format. A chain of them begins at a storage that is kept as it is, and a snapshot's
manifest links all of it, so that deleting the base takes nothing away. Identity is the digest
of the full bytes, and whoever makes them from a chain compares it.
"""

from torchstash.content_store.deltas.base_snapshot import BaseSnapshot
from torchstash.content_store.deltas.chain import DeltaChain, DeltaStep
from torchstash.content_store.deltas.encoded_delta import SpentDeltaError
from torchstash.content_store.deltas.keeper import DeltaKeeper
from torchstash.content_store.deltas.loading import Wanted, load_chains
from torchstash.content_store.deltas.stored_storage import StoredStorage, stored_storages
from torchstash.content_store.deltas.tensor_paths import storage_paths

__all__ = [
    "BaseSnapshot",
    "DeltaChain",
    "DeltaKeeper",
    "DeltaStep",
    "SpentDeltaError",
    "StoredStorage",
    "Wanted",
    "load_chains",
    "storage_paths",
    "stored_storages",
]
