"""What can go wrong between a tensor and its store.

Everything that `torchstash.content_store` raises on purpose::

    ContentStoreError
    ├── StoreUnavailableError           the store cannot be opened, read or written now
    │   ├── MissingStoreError           (FileNotFoundError) there is no store at this place
    │   └── QuotaExceededError          the store may not hold as much as was to be written
    ├── PlaceUnavailableError           where it is pushed or pulled cannot be used now
    │   └── PlaceUnlistableError        it cannot list what it holds
    ├── ExistsError                     (FileExistsError) something is there that would be replaced
    ├── ForeignFileError                (ValueError) a file to import is not what it should be
    ├── NotInStoreError                 (FileNotFoundError)
    │   ├── MissingTensorError          no tensor was written under this name
    │   ├── MissingStorageError         no storage with this digest was written
    │   └── MissingSnapshotError        no state dict was saved under this name
    ├── IncompleteCheckpointError       ranks do not agree on what a checkpoint is made of
    ├── CorruptStoreError               what was read is not what was written
    │   ├── CorruptMetadataError        the description of a tensor
    │   └── CorruptStorageError         the bytes of a storage
    ├── UnsupportedError                (TypeError) it cannot be kept, or rebuilt, exactly
    │   ├── UnsupportedTensorError      sparse, nested, a subclass, with hooks, ...
    │   ├── UnsupportedStorageError     no bytes behind it: meta, fake, of a wrapper
    │   ├── UnsupportedValueError       something in a state dict that is no tensor
    │   └── UnsupportedDtypeError       an element type that this PyTorch does not have
    ├── NameTakenError                  (FileExistsError) a new name for something is in use
    ├── InvalidNameError                (ValueError) not 1 byte to 1 KiB of UTF-8
    ├── InvalidDigestError              (ValueError) not the 64 hex digits of a digest
    ├── DeviceUnavailableError          (RuntimeError) the tensor's device is not on this machine
    └── StreamCaptureError              (RuntimeError) a graph is being captured on the device

The second bases are those that callers of `torch.utils._content_store` catch.
Errors of the layer below arrive as `__cause__`.
"""


class ContentStoreError(Exception):
    """Base of all errors of this layer."""


class StoreUnavailableError(ContentStoreError):
    """The store cannot be opened, read or written: no permission, disk full, locked."""


class MissingStoreError(StoreUnavailableError, FileNotFoundError):
    """There is no store at the place that was given; nothing was created."""


class QuotaExceededError(StoreUnavailableError):
    """A write would have taken the store beyond its quota; nothing of it was kept.

    Attributes:
        quota_bytes: What the contents of the store may take.
        used_bytes: What they take.
        asked_bytes: What the write would have added.
    """

    def __init__(
        self, message: str, *, quota_bytes: int = 0, used_bytes: int = 0, asked_bytes: int = 0
    ) -> None:
        super().__init__(message)
        self.quota_bytes = quota_bytes
        self.used_bytes = used_bytes
        self.asked_bytes = asked_bytes


class PlaceUnavailableError(ContentStoreError):
    """The other side of a transfer cannot be reached, read or written. What it has stays."""


class PlaceUnlistableError(PlaceUnavailableError):
    """The other side of a transfer cannot list its names, and would have to."""


class ExistsError(ContentStoreError, FileExistsError):
    """What was to be made is there already, and was left as it is."""


class ForeignFileError(ContentStoreError, ValueError):
    """A file to import cannot be read as what it should be; nothing of it was taken."""


class NotInStoreError(ContentStoreError, FileNotFoundError):
    """The store is there, what was asked of it is not."""


class MissingTensorError(NotInStoreError):
    """No tensor was written under this name."""


class MissingStorageError(NotInStoreError):
    """No storage with this digest was written."""


class MissingSnapshotError(NotInStoreError):
    """No state dict was saved under this name."""


class IncompleteCheckpointError(ContentStoreError):
    """Ranks do not agree: one lacks what another wrote, or they read different versions."""


class CorruptStoreError(ContentStoreError):
    """What was read is not what was written; nothing of it was handed out."""


class CorruptMetadataError(CorruptStoreError):
    """The description of a tensor cannot be parsed, or contradicts itself or its storage."""


class CorruptStorageError(CorruptStoreError):
    """The bytes of a storage are absent, too few, too many, or have another digest."""


class UnsupportedError(ContentStoreError, TypeError):
    """It cannot be kept, or rebuilt, exactly."""


class UnsupportedTensorError(UnsupportedError):
    """A tensor that `TensorMetadata` cannot express, or this PyTorch cannot rebuild."""


class UnsupportedStorageError(UnsupportedError):
    """A storage without bytes to hash: meta, fake, or inside a wrapper subclass."""


class UnsupportedValueError(UnsupportedError):
    """A value in a state dict, or a key of it, that a `SnapshotManifest` cannot express."""


class UnsupportedDtypeError(UnsupportedError):
    """An element type that this PyTorch does not have."""


class NameTakenError(ContentStoreError, FileExistsError):
    """Something was to be renamed, and its new name is in use."""


class InvalidNameError(ContentStoreError, ValueError):
    """A name is not 1 byte to 1 KiB of UTF-8."""


class InvalidDigestError(ContentStoreError, ValueError):
    """An address of a storage is not 64 hex digits."""


class DeviceUnavailableError(ContentStoreError, RuntimeError):
    """The device that the tensor was written from is not on this machine."""


class StreamCaptureError(ContentStoreError, RuntimeError):
    """What was asked needs results from a device on which a graph is being captured."""
