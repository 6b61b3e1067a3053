"""The bytes of a storage as the engine takes them.

Those of a CPU storage lie where they are: nothing is copied. From any other device
they come in slices, and only if the store lacks them.
"""

from collections.abc import Iterator
from typing import Final

import torch

from torchstash.cache.blake3_hasher import hash_whole
from torchstash.cache.digest import Digest
from torchstash.cache.disk import Slices
from torchstash.content_store.devices import CPU
from torchstash.content_store.hashing import digest_storage
from torchstash.content_store.memory import readable
from torchstash.content_store.staging import staging
from torchstash.content_store.torch_internals import without_dispatch_modes

SLICE_BYTES: Final = 32 << 20
"""What one thread holds on the host of a storage that lies elsewhere."""


def contents_of(storage: torch.UntypedStorage) -> memoryview | Slices:
    """A view that must not outlive the storage, or slices that hold it."""
    if storage.device == CPU:
        return readable(storage)
    return Slices(storage.nbytes(), lambda: slices_of(storage))


def addressed(storage: torch.UntypedStorage) -> tuple[Digest, memoryview | Slices]:
    """The content address of a storage, and `contents_of` it.

    Raises:
        UnsupportedStorageError: There are no bytes: meta, fake, or inside a wrapper.
    """
    if storage.device == CPU:
        view = readable(storage)
        return Digest(hash_whole(view)), view
    return digest_storage(storage), contents_of(storage)


def slices_of(
    storage: torch.UntypedStorage, *, slice_bytes: int = SLICE_BYTES
) -> Iterator[memoryview]:
    """The bytes of a storage on any device, through one buffer on the host."""
    size_bytes = storage.nbytes()
    with without_dispatch_modes(), torch.no_grad():
        source = torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)
        staged = staging(min(slice_bytes, size_bytes), storage.device)
    for start in range(0, size_bytes, slice_bytes):
        length = min(slice_bytes, size_bytes - start)
        with without_dispatch_modes(), torch.no_grad():
            staged[:length].copy_(source[start : start + length])
        yield readable(staged.untyped_storage())[:length]
