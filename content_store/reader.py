"""Reads tensors by name, and storages by content.

A tensor that is read belongs to its reader: large storages are mapped
copy-on-write, small ones copied, so changing it never changes the store.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import torch

from torchstash.cache.digest import Digest
from torchstash.cache.disk import Blob
from torchstash.cache.errors import CacheError
from torchstash.content_store import checkpoint_tree
from torchstash.content_store.devices import CPU, available_device, recorded_device
from torchstash.content_store.engine_errors import store_error, store_errors
from torchstash.content_store.errors import (
    CorruptMetadataError,
    MissingStorageError,
    MissingTensorError,
)
from torchstash.content_store.metadata import Description, decode
from torchstash.content_store.names import SNAPSHOT_PREFIX, TENSOR_PREFIX, tensor_key
from torchstash.content_store.read_mode import ReadMode
from torchstash.content_store.rebuild import rebuild_all, rebuild_described
from torchstash.content_store.snapshot_reading import describe_snapshot, load_snapshot
from torchstash.content_store.snapshot_summary import SnapshotSummary
from torchstash.content_store.storage_source import LOOKUP_ATTEMPTS, Asked, StorageSource
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
            until it changes), and damage raises. False: only the sizes of large ones are.
        mode: How large storages are read: "mapped", "copied", or as the medium suggests.
    """

    def __init__(
        self,
        loc: str | os.PathLike[str],
        *,
        cache: bool = True,
        verify: bool = True,
        mode: ReadMode | str = ReadMode.AUTO,
    ) -> None:
        self._location = Path(loc).absolute()
        self._source = StorageSource(self._location, cache=cache, verify=verify, mode=mode)

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
        key = tensor_key(name)
        for _ in range(LOOKUP_ATTEMPTS):
            blob = self._locate(key, name)
            tensor = self._read(blob, name, device)
            if tensor is not None:
                return tensor
        raise self._source.overtaken(f"the tensor {name!r}")

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
        target = CPU if device is None else available_device(device)
        for _ in range(LOOKUP_ATTEMPTS):
            with store_errors(self._location):
                blob = self._source.backend().locate_contents(digest)
            if blob is None:
                raise MissingStorageError(
                    f"no storage {digest.hex} in the content store at {self._location}"
                )
            storage = self._source.shared(blob, target, "no name")
            if storage is not None:
                return storage
        raise self._source.overtaken(f"the storage {digest.hex}")

    def read_tensor_metadata(self, name: str) -> TensorMetadata:
        """What was recorded of the tensor of that name. Its bytes are not read.

        Raises:
            MissingTensorError: Nothing was written under `name`.
            CorruptMetadataError: What was recorded is damaged.
            UnsupportedDtypeError: The installed PyTorch lacks its dtype.
        """
        blob = self._locate(tensor_key(name), name)
        description = self._described(blob, name)
        metadata = TensorMetadata()
        metadata.CopyFrom(description.metadata)
        metadata.storage_digest = blob.digest.raw
        return metadata

    def names(self, prefix: str = "") -> Iterator[str]:
        """The names of all tensors that begin with `prefix`, in the order of their UTF-8 bytes.

        Names that are written while the iterator runs may or may not be among them.
        """
        with store_errors(self._location):
            keys = self._source.backend().keys(TENSOR_PREFIX + prefix)
        return self._names_of(keys, TENSOR_PREFIX)

    def snapshots(self, prefix: str = "") -> Iterator[str]:
        """The names of all snapshots that begin with `prefix`, like `names`."""
        with store_errors(self._location):
            keys = self._source.backend().keys(SNAPSHOT_PREFIX + prefix)
        return self._names_of(keys, SNAPSHOT_PREFIX)

    def describe_snapshot(self, name: str) -> SnapshotSummary:
        """How many tensors, storages and bytes a snapshot has, and how it is kept.

        Raises:
            MissingSnapshotError: Nothing was saved under `name`.
            CorruptMetadataError: What was recorded of it is damaged.
            UnsupportedDtypeError: The installed PyTorch lacks a dtype of it.
        """
        return describe_snapshot(self._source, name)

    def read_tensors(
        self, names: Iterable[str], *, device: torch.device | str | int | None = None
    ) -> dict[str, torch.Tensor]:
        """The tensors of those names, all of one instant; otherwise like `read_tensor`."""
        wanted = {name: tensor_key(name) for name in names}
        for _ in range(LOOKUP_ATTEMPTS):
            with store_errors(self._location):
                blobs = self._source.backend().locate_all(wanted.values())
            tensors = self._read_all(dict(zip(wanted, blobs, strict=True)), device)
            if tensors is not None:
                return tensors
        raise self._source.overtaken(f"one of {len(wanted)} tensors")

    def load_state_dict(
        self,
        name: str,
        *,
        device: torch.device | str | int | None = None,
        mode: ReadMode | str | None = None,
    ) -> Any:  # noqa: ANN401 - the caller knows what was saved
        """What `save_state_dict`, or `torch.distributed.checkpoint` unsharded, kept under `name`.

        Tensors that viewed one storage view one again, and a tensor that was there twice is;
        nothing else is shared, not even with what is loaded next.

        Args:
            name: As it was saved.
            device: Where to put the tensors; None: where each was.
            mode: How large storages are read; None: as the reader was told.

        Raises:
            MissingSnapshotError: Nothing was saved under `name`.
            CorruptMetadataError: What was recorded is damaged.
            CorruptStorageError: The bytes of a tensor are.
            UnsupportedDtypeError: The installed PyTorch lacks a dtype.
            DeviceUnavailableError: A device is not on this machine.
        """
        tree = load_snapshot(self._source, name, device=device, mode=mode)
        return checkpoint_tree.whole(tree, name)

    def close(self) -> None:
        """Gives back files and connections; tensors that were read stay valid."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _names_of(self, keys: Iterator[str], prefix: str) -> Iterator[str]:
        with store_errors(self._location):
            for key in keys:
                yield key.removeprefix(prefix)

    def _locate(self, key: str, name: str) -> Blob:
        try:
            blob = self._source.backend().locate(key)
        except CacheError as error:
            raise store_error(self._location, error) from error
        if blob is None:
            raise self._missing(name)
        return blob

    def _missing(self, name: str) -> MissingTensorError:
        return MissingTensorError(
            f"no tensor {name!r} in the content store at {self._location}; check the name "
            "against ContentStoreReader.names, or `torchstash ls`"
        )

    def _read_all(
        self, blobs: Mapping[str, Blob | None], device: torch.device | str | int | None
    ) -> dict[str, torch.Tensor] | None:
        """The tensors; None where one was replaced meanwhile."""
        descriptions, asked = [], []
        for name, blob in blobs.items():
            if blob is None:
                raise self._missing(name)
            description = self._described(blob, name)
            target = self._target(description, name, device)
            descriptions.append(description)
            asked.append(Asked(blob, target, f"the tensor {name!r}"))
        storages = self._source.all_shared(asked)
        if storages is None:
            return None
        tensors = rebuild_all(zip(descriptions, storages, strict=True))
        return dict(zip(blobs, tensors, strict=True))

    def _read(
        self, blob: Blob, name: str, device: torch.device | str | int | None
    ) -> torch.Tensor | None:
        """The tensor; None where it was replaced meanwhile."""
        description = self._described(blob, name)
        target = self._target(description, name, device)
        storage = self._source.shared(blob, target, f"the tensor {name!r}")
        return None if storage is None else rebuild_described(description, storage)

    def _described(self, blob: Blob, name: str) -> Description:
        """What was recorded of a tensor, in accord with where its storage is."""
        if blob.note is None:
            raise CorruptMetadataError(
                f"the tensor {name!r} in the content store at {self._location} has no metadata; "
                "write the tensor again"
            )
        digest, description = decode(blob.note, name)
        if digest != blob.digest.raw:
            raise CorruptMetadataError(
                f"the metadata of tensor {name!r} is damaged: it gives the storage "
                f"{digest.hex()}, and the store {blob.digest.hex}; "
                "write the tensor again"
            )
        if description.storage_size_bytes != blob.size_bytes:
            raise CorruptMetadataError(
                f"the metadata of tensor {name!r} is damaged: it gives its storage "
                f"{blob.digest.hex} {description.storage_size_bytes} bytes, and the store has "
                f"{blob.size_bytes}; write the tensor again"
            )
        return description

    def _target(
        self, description: Description, name: str, device: torch.device | str | int | None
    ) -> torch.device:
        if device is not None:
            return available_device(device)
        if description.plain is not None and description.plain.on_cpu:
            return CPU
        return recorded_device(description.metadata, name)
