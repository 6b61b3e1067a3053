"""Reads tensors by name, and storages by content.

A tensor that is read belongs to its reader: large storages are mapped
copy-on-write, small ones copied, so changing it never changes the store.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

import torch

from torchstash.cache.digest import Digest
from torchstash.cache.disk import DiskBackend
from torchstash.cache.errors import CacheError, CorruptEntryError
from torchstash.content_store.blobs import BlobLoader
from torchstash.content_store.devices import CPU, available_device, moved, recorded_device
from torchstash.content_store.engine_errors import store_errors
from torchstash.content_store.errors import (
    CorruptMetadataError,
    CorruptStorageError,
    MissingStorageError,
    MissingTensorError,
)
from torchstash.content_store.live_storages import LiveStorages
from torchstash.content_store.metadata import parse_metadata
from torchstash.content_store.names import TENSOR_PREFIX, storage_key, tensor_key
from torchstash.content_store.rebuild import rebuild
from torchstash.proto.content_store.v1.tensor_metadata_pb2 import TensorMetadata


class ContentStoreReader:
    """Reads the store at `loc`. It is opened by the first call that reads; none creates it.

    Every method that reads raises `MissingStoreError` (a `FileNotFoundError`) where
    there is no store, `StoreUnavailableError` where it cannot be read, and
    `CorruptStoreError` where it is damaged. Thread-safe.

    Args:
        loc: The folder of the store.
        cache: Storages of equal contents on one device are one live storage while
            anybody uses it, so that views alias again. The reader itself keeps none
            alive. False: each call gives a fresh storage.
        verify: Each storage is hashed when it is first read (a file once per reader,
            until it changes), and damage raises. False: only its size is checked.
    """

    def __init__(
        self, loc: str | os.PathLike[str], *, cache: bool = True, verify: bool = True
    ) -> None:
        self._location = Path(loc).absolute()
        self._opened: DiskBackend | None = None
        self._live = LiveStorages() if cache else None
        self._blobs = BlobLoader(verify=verify)

    def read_tensor(
        self, name: str, *, device: torch.device | str | int | None = None
    ) -> torch.Tensor:
        """The tensor of that name.

        Args:
            name: As it was written.
            device: Where to put it; None: where it was when it was written.

        Raises:
            MissingTensorError: Nothing was written under `name`.
            CorruptMetadataError: What was recorded of it is damaged.
            CorruptStorageError: Its bytes are damaged.
            UnsupportedDtypeError: The installed PyTorch lacks its dtype.
            DeviceUnavailableError: Its device is not on this machine.
        """
        metadata = self.read_tensor_metadata(name)
        target = recorded_device(metadata, name) if device is None else available_device(device)
        digest = Digest(metadata.storage_digest)
        size_bytes = metadata.storage_size_bytes
        storage = self._live.get(digest, target, size_bytes) if self._live is not None else None
        if storage is None:
            storage = self._load(digest, target, f"the tensor {name!r}")
        if storage is None:
            raise CorruptStorageError(
                f"the storage {digest.hex} of the tensor {name!r} is gone from the content store "
                f"at {self._location}; write the tensor again"
            )
        if storage.nbytes() != size_bytes:
            raise CorruptMetadataError(
                f"the metadata of tensor {name!r} is damaged: it gives its storage {digest.hex} "
                f"{size_bytes} bytes, and the store has {storage.nbytes()}; write the tensor again"
            )
        return rebuild(metadata, storage)

    def read_storage(
        self, h: str, *, device: torch.device | str | int | None = None
    ) -> torch.UntypedStorage:
        """The storage with that digest, on the CPU unless `device` says otherwise.

        Raises:
            MissingStorageError: The store has no such storage.
            CorruptStorageError: Its bytes are damaged.
            DeviceUnavailableError: `device` is not on this machine.
        """
        try:
            digest = Digest.from_hex(h)
        except ValueError as error:
            raise MissingStorageError(
                f"no storage {h!r}: the address of a storage is the 64 hex digits that "
                "write_storage gives"
            ) from error
        storage = self._load(digest, CPU if device is None else available_device(device), "no name")
        if storage is None:
            raise MissingStorageError(
                f"no storage {digest.hex} in the content store at {self._location}"
            )
        return storage

    def read_tensor_metadata(self, name: str) -> TensorMetadata:
        """What was recorded of the tensor of that name. Its bytes are not read.

        Raises:
            MissingTensorError: Nothing was written under `name`.
            CorruptMetadataError: What was recorded is damaged.
            UnsupportedDtypeError: The installed PyTorch lacks its dtype.
        """
        key = tensor_key(name)
        with store_errors(self._location):
            try:
                data = self._backend().get(key)
            except CorruptEntryError:
                self._report_damage(key)
                raise
        if data is None:
            raise MissingTensorError(
                f"no tensor {name!r} in the content store at {self._location}; check the name "
                "against ContentStoreReader.names, or `torchstash ls`"
            )
        return parse_metadata(data, name)

    def names(self, prefix: str = "") -> Iterator[str]:
        """The names of all tensors that begin with `prefix`, in the order of their UTF-8 bytes.

        Names that are written while the iterator runs may or may not be among them.
        """
        with store_errors(self._location):
            keys = self._backend().keys(TENSOR_PREFIX + prefix)
        return self._names_of(keys)

    def close(self) -> None:
        """Gives back files and connections; tensors that were read stay valid."""
        if self._opened is not None:
            self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _names_of(self, keys: Iterator[str]) -> Iterator[str]:
        with store_errors(self._location):
            for key in keys:
                yield key.removeprefix(TENSOR_PREFIX)

    def _backend(self) -> DiskBackend:
        if self._opened is None:
            self._opened = DiskBackend.open_read_only(self._location)
        return self._opened

    def _load(
        self, digest: Digest, device: torch.device, wanted_by: str
    ) -> torch.UntypedStorage | None:
        """The live storage with that digest, or a fresh one; None where the store lacks it."""
        key = storage_key(digest)
        with store_errors(self._location):
            blob = self._backend().locate(key)
        if blob is None:
            return None
        if self._live is not None:
            live = self._live.get(digest, device, blob.size_bytes)
            if live is not None:
                return live
        try:
            storage = moved(self._blobs.load(blob, digest, wanted_by), device)
        except CorruptStorageError:
            self._report_damage(key)
            raise
        return storage if self._live is None else self._live.share(digest, storage)

    def _report_damage(self, key: str) -> None:
        """Lets the next writer of the same contents write them again. Best effort.

        A reader writes nothing else; where it may not write, its user has the error alone.
        """
        with suppress(CacheError), DiskBackend(self._location) as backend:
            blob = backend.locate(key)
            if blob is not None:
                backend.mark_damaged(blob.digest)
