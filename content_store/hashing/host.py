"""Hashes a storage of any device by way of the host, a slice at a time.

For devices without a kernel of their own. The host never holds more than two slices of the
storage, in pinned memory where the device can copy into that: one is filled while the
other is hashed.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import torch

from torchstash.cache.blake3_hasher import hasher
from torchstash.cache.digest import Digest
from torchstash.content_store.hashing.pending import Pending
from torchstash.content_store.memory import address_of, readable
from torchstash.content_store.staging import staging

SLICE_BYTES: Final = 32 << 20
"""Large enough to keep all cores and the bus busy, small enough for any host."""


def begin(storages: Sequence[torch.UntypedStorage], device: torch.device) -> Pending:
    """The digests of storages on `device`, computed when they are asked for."""
    del device
    return lambda: [digest(storage).raw for storage in storages]


def digest(storage: torch.UntypedStorage, *, slice_bytes: int = SLICE_BYTES) -> Digest:
    """The BLAKE3 digest of a storage on any device, through two slices of host memory."""
    address_of(storage)  # Refuses a storage without bytes.
    size_bytes = storage.nbytes()
    hashed = hasher(size_bytes)
    source = torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)
    slices = [
        staging(min(slice_bytes, left), storage.device)
        for left in (size_bytes, size_bytes - slice_bytes)
        if left > 0
    ]
    with ThreadPoolExecutor(1) as pool:
        hashing = None
        for nth, start in enumerate(range(0, size_bytes, slice_bytes)):
            length = min(slice_bytes, size_bytes - start)
            filled = slices[nth % 2][:length].copy_(source[start : start + length])
            if hashing is not None:
                hashing.result()
            hashing = pool.submit(hashed.update, readable(filled.untyped_storage())[:length])
    if hashing is not None:
        hashing.result()
    return Digest(hashed.digest())
