"""Writes tensors by name, and their storages by content.

One tensor is one commit: its storage, if the store lacks it, and its metadata. A
reader sees the old tensor of that name or the new one, whole; what `write_tensor`
returned from survives `kill -9` and loss of power.
"""

import os
from pathlib import Path
from typing import Self

import torch

from torchstash.cache.digest import Digest
from torchstash.cache.disk import DiskBackend, Put
from torchstash.content_store.devices import CPU, moved
from torchstash.content_store.engine_errors import store_errors
from torchstash.content_store.errors import InvalidDigestError
from torchstash.content_store.hashing import digest_storage
from torchstash.content_store.memory import readable
from torchstash.content_store.metadata import describe
from torchstash.content_store.names import storage_key, tensor_key
from torchstash.content_store.refusals import require_expressible
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
        digest = digest_storage(storage)
        metadata = describe(t, digest)
        self._commit(storage, digest, Put(key, metadata.SerializeToString(deterministic=True)))

    def write_storage(self, storage: torch.UntypedStorage) -> str:
        """Keeps a storage without a name; gives its digest, for `read_storage`.

        Raises:
            UnsupportedStorageError: The storage has no bytes of its own.
            StoreUnavailableError: It could not be written; the store is as it was.
        """
        digest = digest_storage(storage)
        self._commit(storage, digest)
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
        try:
            return describe(t, Digest.from_hex(h))
        except ValueError as error:
            raise InvalidDigestError(
                f"expected the 64 hex digits that hash_storage gives, got {h!r}"
            ) from error

    def close(self) -> None:
        """Gives back files and connections; the writer is of no use afterwards."""
        self._backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _commit(self, storage: torch.UntypedStorage, digest: Digest, *puts: Put) -> None:
        with store_errors(self._location):
            if storage.device.type != "cpu":
                if self._keeps(digest, storage.nbytes()):
                    return self._backend.commit(puts)
                # Only what the store lacks leaves its device.
                storage = moved(storage, CPU)
            # The engine keeps the bytes once, and puts them back where they were damaged.
            content = Put(storage_key(digest), readable(storage), digest)
            return self._backend.commit([content, *puts])

    def _keeps(self, digest: Digest, size_bytes: int) -> bool:
        """Whether the store has these contents in full."""
        blob = self._backend.locate(storage_key(digest))
        if blob is None or blob.path is None:
            return blob is not None
        try:
            return blob.path.stat().st_size == size_bytes
        except OSError:
            return False
