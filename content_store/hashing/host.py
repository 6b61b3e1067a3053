"""Hashes a storage of any device by way of the host, a slice at a time.

For devices without a kernel of their own. The host never holds more than
`SLICE_BYTES` of the storage; the digest is that of the whole.
"""

from typing import Final

import torch

from torchstash.cache.blake3_hasher import hasher
from torchstash.cache.digest import Digest
from torchstash.content_store.memory import address_of, readable
from torchstash.content_store.torch_internals import without_dispatch_modes

SLICE_BYTES: Final = 64 << 20
"""Large enough to keep all cores and the bus busy, small enough for any host."""


def digest(storage: torch.UntypedStorage, *, slice_bytes: int = SLICE_BYTES) -> Digest:
    """The BLAKE3 digest of a storage on any device, through `slice_bytes` of host memory."""
    address_of(storage)  # Refuses a storage without bytes.
    size_bytes = storage.nbytes()
    hashed = hasher(size_bytes)
    with without_dispatch_modes(), torch.no_grad():
        source = torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)
        staging = torch.empty(min(slice_bytes, size_bytes), dtype=torch.uint8, device="cpu")
        for start in range(0, size_bytes, slice_bytes):
            length = min(slice_bytes, size_bytes - start)
            staging[:length].copy_(source[start : start + length])
            hashed.update(readable(staging.untyped_storage())[:length])
    return Digest(hashed.digest())
