"""Writes tensors by name, and their storages by content.

One tensor is one commit: its storage, if the store lacks it, and its metadata. A
reader sees the old tensor of that name or the new one, whole; what `write_tensor`
returned from survives `kill -9` and loss of power.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import torch

from torchstash.cache.digest import Digest
from torchstash.cache.disk import DiskBackend, Put
from torchstash.cache.errors import CacheError
from torchstash.content_store import checkpoint_tree
from torchstash.content_store.contents import addressed
from torchstash.content_store.engine_errors import store_error, store_errors
from torchstash.content_store.errors import InvalidDigestError
from torchstash.content_store.hashing import digest_storage
from torchstash.content_store.metadata import describe, encode
from torchstash.content_store.names import snapshot_key, storage_key, tensor_key
from torchstash.content_store.refusals import require_expressible
from torchstash.content_store.renaming import rename_snapshot, rename_tensor
from torchstash.content_store.snapshot_writing import save_snapshot
from torchstash.content_store.tensor_batch import write_tensors
from torchstash.proto.content_store.v1.tensor_metadata_pb2 import TensorMetadata


class ContentStoreWriter:
    """Adds to the store at `loc`, which is created where there is none.

    Any number of writers and readers share a store, in threads and processes. Every
    call hashes the whole storage anew, so that a change since the last call is always
    seen; equal contents are kept once, whoever wrote them.

    Args:
        loc: The folder of the store.
        stable_hash: Accepted for callers of `torch.utils._content_store`; every hash is
            stable here.

    Raises:
        StoreUnavailableError: The store cannot be made or opened there.
    """

    def __init__(self, loc: str | os.PathLike[str], stable_hash: bool = False) -> None:
        del stable_hash
        self._location = Path(loc).absolute()
        with store_errors(self._location):
            self._backend = DiskBackend(self._location, durable=True)

    def write_tensor(self, name: str, t: torch.Tensor) -> None:
        """Keeps `t` under `name`, in place of what was there.

        Raises:
            InvalidNameError: `name` is not 1 byte to 1 KiB of UTF-8.
            UnsupportedTensorError: `t` has something that cannot be kept exactly.
            StoreUnavailableError: It could not be written; the store is as it was.
        """
        key = tensor_key(name)
        require_expressible(t)
        storage = t.untyped_storage()
        digest, contents = addressed(storage)
        note = encode(t, digest, storage.nbytes())
        self._commit(Put(key, contents, digest, note))

    def write_tensors(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Keeps each tensor under its name, all in one commit.

        A reader sees all of them or none. Hashing, fetching from devices and writing overlap; the
        host holds at most `WINDOW_BYTES` of what lies on other devices.

        Raises:
            InvalidNameError: A name is not 1 byte to 1 KiB of UTF-8.
            UnsupportedTensorError: A tensor has something that cannot be kept exactly.
            StoreUnavailableError: They could not be written; the store is as it was.
        """
        with store_errors(self._location):
            write_tensors(self._backend, tensors)

    def save_state_dict(self, name: str, state_dict: object, *, base: str | None = None) -> None:
        """Keeps a state dict, or any tree of containers, values and tensors, under `name`.

        One commit, in place of what was there. Tensors that share a storage, and a tensor that is
        there twice, come back so; equal contents are kept once and come back distinct. A container
        that is there twice comes back as two.

        Args:
            name: A name of its own: a tensor may have the same.
            state_dict: Of dict, OrderedDict, list, tuple, tensors, None, bool, int, float, str,
                bytes, torch.Size, torch.dtype and torch.device, at most 30 containers deep.
            base: The name of a snapshot, perhaps `name` itself, that differs little from this one:
                of each storage that has changed only the change is kept, where that is at most half
                of it. Nothing but bytes and time depends on it, and it may be deleted afterwards.

        Raises:
            InvalidNameError: `name` or `base` is not 1 byte to 1 KiB of UTF-8.
            MissingSnapshotError: There is no snapshot `base`; nothing was saved.
            UnsupportedValueError: Something else is in it; says where, and of what type.
            UnsupportedTensorError: A tensor has something that cannot be kept exactly.
            StoreUnavailableError: It could not be written; the store is as it was.
        """
        checkpoint_tree.require_unmarked(state_dict)
        with store_errors(self._location):
            save_snapshot(self._backend, name, state_dict, base)

    def delete_tensor(self, name: str) -> bool:
        """Forgets a tensor, and its storage unless something else leads there. False: no such name.

        Tensors that were read stay as they are.
        """
        with store_errors(self._location):
            return self._backend.delete(tensor_key(name))

    def delete_snapshot(self, name: str) -> bool:
        """Forgets a state dict, like `delete_tensor`."""
        with store_errors(self._location):
            return self._backend.delete(snapshot_key(name))

    def delete_storage(self, h: str) -> bool:
        """Forgets what `write_storage` kept under that digest, unless tensors lead there."""
        with store_errors(self._location):
            return self._backend.delete(storage_key(_digest_of(h)))

    def rename_tensor(self, name: str, new_name: str, *, replace: bool = False) -> None:
        """Lets `new_name` be that of the tensor `name`, in one step.

        Args:
            name: As it was written.
            new_name: Its name from now on.
            replace: A tensor that is called so goes; otherwise it is an error.

        Raises:
            MissingTensorError: Nothing was written under `name`.
            CorruptMetadataError: What was recorded under `name` is damaged.
            NameTakenError: There is a tensor `new_name`, and not `replace`; nothing was changed.
            InvalidNameError: A name is not 1 byte to 1 KiB of UTF-8.
        """
        rename_tensor(self._backend, self._location, name, new_name, replace=replace)

    def rename_snapshot(self, name: str, new_name: str, *, replace: bool = False) -> None:
        """Lets `new_name` be that of the state dict `name`, like `rename_tensor`."""
        rename_snapshot(self._backend, self._location, name, new_name, replace=replace)

    def write_storage(self, storage: torch.UntypedStorage) -> str:
        """Keeps a storage without a name; gives its digest, for `read_storage`.

        Raises:
            UnsupportedStorageError: The storage has no bytes of its own.
            StoreUnavailableError: It could not be written; the store is as it was.
        """
        if not isinstance(storage, torch.UntypedStorage):
            raise TypeError(
                f"expected a torch.UntypedStorage, got {type(storage).__qualname__}; "
                "a tensor's is tensor.untyped_storage()"
            )
        digest, contents = addressed(storage)
        self._commit(Put(storage_key(digest), contents, digest))
        return digest.hex

    def compute_tensor_metadata(self, t: torch.Tensor, h: str | None = None) -> TensorMetadata:
        """What `write_tensor` would record of `t`; equal tensors have equal metadata.

        Args:
            t: A tensor that can be kept.
            h: The digest of its storage, where the caller has it: nothing is hashed then.

        Raises:
            UnsupportedTensorError: `t` has something that cannot be kept exactly.
            InvalidDigestError: `h` is not 64 hex digits.
        """
        require_expressible(t)
        if h is None:
            return describe(t, digest_storage(t.untyped_storage()))
        return describe(t, _digest_of(h))

    def close(self) -> None:
        """Gives back files and connections; the writer is of no use afterwards."""
        self._backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _commit(self, put: Put) -> None:
        try:
            with self._backend.batch() as batch:
                batch.add(put)
                batch.drop_if_kept()
        except CacheError as error:
            raise store_error(self._location, error) from error


def _digest_of(h: str) -> Digest:
    try:
        return Digest.from_hex(h)
    except ValueError as error:
        raise InvalidDigestError(
            f"expected the 64 hex digits that hash_storage gives, got {h!r}"
        ) from error
