"""The bytes of a base's storage, slice by slice, however they are kept.

Nothing of what is kept as it is gets verified before it is needed: `verify` is called once a delta
exists. One that was made from damaged bytes would be lost with their repair.
"""

from collections.abc import Mapping
from typing import Self

import numpy as np
import torch

from torchstash.cache.digest import Digest
from torchstash.cache.disk import Blob
from torchstash.content_store.blobs import BlobLoader
from torchstash.content_store.deltas.chain import DeltaStep
from torchstash.content_store.deltas.delta import BrokenDeltaError, Delta
from torchstash.content_store.deltas.sparse_frame import Octets
from torchstash.content_store.deltas.stored_storage import StoredStorage
from torchstash.content_store.errors import CorruptStorageError
from torchstash.content_store.memory import readable


class DamagedBaseError(Exception):
    """What a base needs is damaged.

    Attributes:
        blob: Where it was found so.
    """

    def __init__(self, blob: Blob) -> None:
        super().__init__(f"the contents {blob.digest.hex} of a base are damaged")
        self.blob = blob


class BaseContents:
    """What `storage` of the base holds; see `open`. Thread-safe.

    Attributes:
        storage: How the base keeps it.
    """

    def __init__(
        self, storage: StoredStorage, root: Blob, octets: Octets, deltas: list[Delta], keep: object
    ) -> None:
        self.storage = storage
        self._root = root
        self._octets = octets
        self._deltas = deltas
        self._keep = keep

    @classmethod
    def open(cls, storage: StoredStorage, blobs: Mapping[Digest, Blob | None]) -> Self | None:
        """The contents; None where some of it is gone.

        Args:
            storage: How the base keeps it.
            blobs: Where the store has what that needs.

        Raises:
            DamagedBaseError: Something of it is damaged.
        """
        found = [blob for digest in storage.digests() if (blob := blobs[digest]) is not None]
        if [blob.size_bytes for blob in found] != [size for _, size in storage.parts()]:
            return None
        root = _loaded(found[0], verify=False)
        encoded = [_loaded(blob, verify=True) for blob in found[1:]]
        deltas = []
        for blob, contents in zip(found[1:], encoded, strict=True):
            try:
                deltas.append(Delta.parse(readable(contents), storage.size_bytes))
            except BrokenDeltaError as error:
                raise DamagedBaseError(blob) from error
        octets = np.frombuffer(readable(root), np.uint8)
        return cls(storage, found[0], octets, deltas, (root, encoded))

    @property
    def root(self) -> Digest:
        """What its chain begins with: itself, where it has none."""
        return self._root.digest

    @property
    def steps(self) -> tuple[DeltaStep, ...]:
        """The deltas of its chain."""
        return () if self.storage.chain is None else self.storage.chain.steps

    def without_deltas(self) -> Self:
        """The contents that its chain begins with."""
        root = StoredStorage(self._root.digest, self.storage.size_bytes)
        return type(self)(root, self._root, self._octets, [], self._keep)

    def difference(self, start: int, octets: Octets) -> Octets:
        """XOR of `octets` with what lies `start` bytes into the storage, in fresh memory.

        Raises:
            BrokenDeltaError: A delta of the base is damaged.
        """
        result: Octets = np.bitwise_xor(octets, self._octets[start : start + len(octets)])
        for delta in self._deltas:
            delta.apply(start, result)
        return result

    def verify(self) -> None:
        """Compares the digest of what is kept as it is; the deltas were compared by `open`.

        Raises:
            DamagedBaseError: It is.
        """
        _loaded(self._root, verify=True)


def _loaded(blob: Blob, *, verify: bool) -> torch.UntypedStorage:
    try:
        return BlobLoader(verify=verify).load(blob, "the base")
    except CorruptStorageError as error:
        raise DamagedBaseError(blob) from error
