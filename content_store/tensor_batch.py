"""Keeps many named tensors in one commit, each storage of theirs once."""

from collections.abc import Mapping
from typing import Final

import torch

from torchstash.cache.digest import Digest
from torchstash.cache.disk import DiskBackend, Put, Slices
from torchstash.content_store.contents import addressed
from torchstash.content_store.metadata import encode
from torchstash.content_store.names import tensor_key
from torchstash.content_store.refusals import require_expressible
from torchstash.content_store.storage_keeper import keep_storages
from torchstash.content_store.torch_internals import identity_of

_SMALL_BYTES: Final = 64 << 10


def write_tensors(backend: DiskBackend, tensors: Mapping[str, torch.Tensor]) -> None:
    """Keeps each tensor under its name, or, on any exception, none.

    Raises:
        InvalidNameError: A name is not 1 byte to 1 KiB of UTF-8.
        UnsupportedTensorError: A tensor has something that cannot be kept exactly.
        BackendError: They could not be written; the store is as it was.
    """
    keys = [tensor_key(name) for name in tensors]
    indices: dict[int, int] = {}
    storages: list[torch.UntypedStorage] = []
    used: list[int] = []
    for tensor in tensors.values():
        require_expressible(tensor)
        storage = tensor.untyped_storage()
        index = indices.setdefault(identity_of(storage), len(storages))
        if index == len(storages):
            storages.append(storage)
        used.append(index)
    sizes_bytes = [storage.nbytes() for storage in storages]
    # What is small and near is hashed at once, and given with its first name.
    digests: dict[int, Digest] = {}
    first: dict[int, memoryview | Slices] = {}
    for i, storage in enumerate(storages):
        if sizes_bytes[i] <= _SMALL_BYTES and storage.device.type == "cpu":
            digests[i], first[i] = addressed(storage)
    with backend.batch() as batch:
        others = [i for i in range(len(storages)) if i not in digests]
        kept = keep_storages(batch, [storages[i] for i in others])
        digests.update(zip(others, kept, strict=True))
        for key, tensor, index in zip(keys, tensors.values(), used, strict=True):
            digest = digests[index]
            note = encode(tensor, digest, sizes_bytes[index])
            batch.add(Put(key, first.pop(index, None), digest, note))
        batch.drop_if_kept()
