"""Tensors by name, and their storages by content.

Equal bytes are kept once, views and aliases survive a round trip, and a read gives
the bytes that were written or raises. The interface is that of
`torch.utils._content_store`; content addresses are BLAKE3 digests.
"""

from torchstash.content_store.errors import (
    ContentStoreError,
    CorruptMetadataError,
    CorruptStorageError,
    CorruptStoreError,
    DeviceUnavailableError,
    ExistsError,
    ForeignFileError,
    IncompleteCheckpointError,
    InvalidDigestError,
    InvalidNameError,
    MissingSnapshotError,
    MissingStorageError,
    MissingStoreError,
    MissingTensorError,
    NameTakenError,
    NotInStoreError,
    PlaceUnavailableError,
    PlaceUnlistableError,
    QuotaExceededError,
    StoreUnavailableError,
    StreamCaptureError,
    UnsupportedDtypeError,
    UnsupportedError,
    UnsupportedStorageError,
    UnsupportedTensorError,
    UnsupportedValueError,
)
from torchstash.content_store.hashing import hash_storage, hash_storages
from torchstash.content_store.maintenance import (
    ContentStoreMaintenance,
    GarbageReport,
    Problem,
    ProblemKind,
    RepairReport,
    SalvageReport,
    StoreQuota,
)
from torchstash.content_store.read_mode import ReadMode
from torchstash.content_store.reader import ContentStoreReader
from torchstash.content_store.snapshot_summary import SnapshotSummary
from torchstash.content_store.writer import ContentStoreWriter

__all__ = [
    "ContentStoreError",
    "ContentStoreMaintenance",
    "ContentStoreReader",
    "ContentStoreWriter",
    "CorruptMetadataError",
    "CorruptStorageError",
    "CorruptStoreError",
    "DeviceUnavailableError",
    "ExistsError",
    "ForeignFileError",
    "GarbageReport",
    "IncompleteCheckpointError",
    "InvalidDigestError",
    "InvalidNameError",
    "MissingSnapshotError",
    "MissingStorageError",
    "MissingStoreError",
    "MissingTensorError",
    "NameTakenError",
    "NotInStoreError",
    "PlaceUnavailableError",
    "PlaceUnlistableError",
    "Problem",
    "ProblemKind",
    "QuotaExceededError",
    "ReadMode",
    "RepairReport",
    "SalvageReport",
    "SnapshotSummary",
    "StoreQuota",
    "StoreUnavailableError",
    "StreamCaptureError",
    "UnsupportedDtypeError",
    "UnsupportedError",
    "UnsupportedStorageError",
    "UnsupportedTensorError",
    "UnsupportedValueError",
    "hash_storage",
    "hash_storages",
]
