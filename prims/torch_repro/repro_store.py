"""The store as PyTorch's repro code uses one: what a tensor cannot be kept for is left out.

A repro is written while something else has gone wrong already. So a storage without bytes is
written down as unknown, as PyTorch does with fake ones, and of an intermediate tensor its values
are kept, without hooks, attributes and autograd. `analyze` compares descriptions as tuples.
"""

import logging
import os
from typing import Protocol, cast

import torch
from torch.utils._content_store import ContentStoreReader as TorchReader

from torchstash.content_store import (
    ContentStoreReader,
    ContentStoreWriter,
    MissingStoreError,
    UnsupportedStorageError,
)
from torchstash.proto.content_store.v1.tensor_metadata_pb2 import TensorMetadata

_LOG = logging.getLogger(__name__)

Description = tuple[object, ...]


class ReproWriter:
    """Writes to the store at `loc`, which lies beside the scripts that PyTorch writes.

    Args:
        loc: The folder, which is made if need be.
        stable_hash: Accepted for PyTorch; every hash is.
    """

    def __init__(self, loc: str, stable_hash: bool = False) -> None:
        del stable_hash
        self._writer = ContentStoreWriter(loc)

    def write_storage(self, storage: torch.UntypedStorage) -> str | None:
        """Keeps a storage; its digest, or None where it has no bytes."""
        try:
            return self._writer.write_storage(storage)
        except UnsupportedStorageError as error:
            _LOG.warning("a repro will run on made-up data in place of an input: %s", error)
            return None

    def write_tensor(self, name: str, t: torch.Tensor) -> None:
        """Keeps the values of a tensor under a name."""
        self._writer.write_tensor(name, t.detach())

    def compute_tensor_metadata(self, t: torch.Tensor, h: str | None = None) -> Description:
        """What tells a tensor from another one."""
        return _described(self._writer.compute_tensor_metadata(t.detach(), h))


class ReproReader:
    """Reads the store at `loc`, each storage checked."""

    def __init__(self, loc: str, *, cache: bool = True) -> None:
        self._reader = ContentStoreReader(loc, cache=cache)

    def read_storage(
        self, h: str, *, device: torch.device | str | None = None
    ) -> torch.UntypedStorage:
        """The storage with that digest, on the CPU unless `device` says otherwise."""
        return self._reader.read_storage(h, device=device)

    def read_tensor_metadata(self, name: str) -> Description:
        """What `compute_tensor_metadata` gave of it."""
        return _described(self._reader.read_tensor_metadata(name))

    def read_tensor(self, name: str, *, device: torch.device | str | None = None) -> torch.Tensor:
        """The tensor of that name."""
        return self._reader.read_tensor(name, device=device)


class AnyReader(Protocol):
    """What repro code asks of a reader, ours or PyTorch's."""

    def read_storage(
        self, h: str, *, device: torch.device | str | None = None
    ) -> torch.UntypedStorage:
        """The storage with that digest."""
        ...


def is_our_store(loc: str) -> bool:
    """Whether a store of ours is at `loc`."""
    try:
        with ContentStoreReader(loc) as reader:
            next(reader.names(), None)
    except MissingStoreError:
        return False
    return True


def open_reader(loc: str, *, cache: bool = True) -> AnyReader:
    """A reader of what is at `loc`: ours, or PyTorch's for a folder that PyTorch wrote."""
    if os.path.isdir(os.path.join(loc, "storages")) and not is_our_store(loc):  # noqa: PTH112, PTH118 - a str, as PyTorch has it
        return cast("AnyReader", TorchReader(loc, cache=cache))
    return ReproReader(loc, cache=cache)


def _described(metadata: TensorMetadata) -> Description:
    return (
        metadata.dtype,
        metadata.storage_digest.hex(),
        metadata.storage_offset_elements,
        tuple(metadata.sizes),
        tuple(metadata.strides),
    )
