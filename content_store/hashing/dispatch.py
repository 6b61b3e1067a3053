"""Chooses the code that hashes a storage, by the type of its device."""

from collections.abc import Callable, Mapping
from typing import Final

import torch

from torchstash.cache.digest import Digest
from torchstash.content_store.errors import UnsupportedStorageError
from torchstash.content_store.hashing import cpu, host

_BY_DEVICE_TYPE: Final[Mapping[str, Callable[[torch.UntypedStorage], Digest]]] = {
    "cpu": cpu.digest,
}


def digest_storage(storage: torch.UntypedStorage) -> Digest:
    """The content address of a storage.

    Raises:
        TypeError: Not a `torch.UntypedStorage`.
        UnsupportedStorageError: There are no bytes: meta, fake, or inside a wrapper.
    """
    if not isinstance(storage, torch.UntypedStorage):
        raise TypeError(
            f"expected a torch.UntypedStorage, got {type(storage).__qualname__}; "
            "a tensor's is tensor.untyped_storage()"
        )
    device_type = storage.device.type
    if device_type == "meta":  # Asking a fake tensor for its address already warns.
        raise UnsupportedStorageError(
            f"a storage of {storage.nbytes()} bytes on the meta device (of a meta or a fake "
            "tensor) has no bytes to hash or keep; pass one of a real tensor"
        )
    return _BY_DEVICE_TYPE.get(device_type, host.digest)(storage)


def hash_storage(storage: torch.UntypedStorage, *, stable_hash: bool = False) -> str:
    """The BLAKE3 digest of a storage's raw bytes: 64 hex digits, as `b3sum` prints them.

    The same on every device, in every process. Draws no random numbers and
    compiles nothing; threads may call it at once.

    Args:
        storage: All of it is hashed, also where the caller holds a view of a part.
        stable_hash: Accepted for callers of `torch.utils._content_store`; every hash is
            stable here.

    Raises:
        TypeError: Not a `torch.UntypedStorage`.
        UnsupportedStorageError: There are no bytes: meta, fake, or inside a wrapper.
    """
    del stable_hash
    return digest_storage(storage).hex
