"""Keeps many named tensors in one commit, each storage of theirs once."""

from collections.abc import Mapping
from typing import Final

import torch

from torchstash.cache.blake3_hasher import hash_whole
from torchstash.cache.digest import Digest
from torchstash.cache.disk import DiskBackend, Put
from torchstash.content_store.devices import CPU
from torchstash.content_store.memory import readable_all
from torchstash.content_store.metadata import encode_raw
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
    for tensor in tensors.values():
        require_expressible(tensor)
    viewed = [tensor.untyped_storage() for tensor in tensors.values()]
    # Each storage is kept with the first name that views it.
    firsts: dict[int, int] = {}
    used = [firsts.setdefault(identity_of(storage), i) for i, storage in enumerate(viewed)]
    sizes_bytes = [storage.nbytes() for storage in viewed]
    distinct = list(firsts.values())
    # What is small and near is hashed at once, and given with its name.
    small = [i for i in distinct if sizes_bytes[i] <= _SMALL_BYTES and viewed[i].device == CPU]
    contents = readable_all(viewed[i] for i in small)
    raw_digests = dict(zip(small, map(hash_whole, contents), strict=True))
    others = [i for i in distinct if i not in raw_digests]
    with backend.batch() as batch:
        kept = keep_storages(batch, [viewed[i] for i in others])
        raw_digests.update(zip(others, (digest.raw for digest in kept), strict=True))
        notes = [
            encode_raw(tensor, raw_digests[first], sizes_bytes[first])
            for tensor, first in zip(tensors.values(), used, strict=True)
        ]
        batch.add_small(
            (keys[i], raw_digests[i], data, notes[i])
            for i, data in zip(small, contents, strict=True)
        )
        given = set(small)
        for i, first in enumerate(used):
            if i not in given:
                batch.add(Put(keys[i], None, Digest(raw_digests[first]), notes[i]))
        batch.drop_if_kept()
