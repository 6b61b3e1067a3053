"""Whether a delta is worth trying: some blocks of a storage say so for all of it.

Deltas of storages that have changed all over would be encoded in vain, at a tenth of the speed at
which they are kept as they are. A wrong guess costs bytes or time, never exactness.
"""

from typing import Final

import numpy as np
import torch

from torchstash.content_store.deltas.base_contents import BaseContents
from torchstash.content_store.deltas.encoded_delta import frame_of
from torchstash.content_store.deltas.sparse_frame import Octets
from torchstash.content_store.memory import readable
from torchstash.content_store.torch_internals import without_dispatch_modes

SAMPLED_FROM_BYTES: Final = 256 << 10
_BLOCK_BYTES: Final = 64 << 10
_MAX_BLOCKS: Final = 16
_ALIGNED_BYTES: Final = 4 << 10
# A delta may have half of the bytes; what few blocks say may be off by as much again.
_MOST: Final = 0.75


def is_promising(storage: torch.UntypedStorage, base: BaseContents, word_bytes: int) -> bool:
    """Whether blocks that lie evenly in `storage` have small deltas.

    Args:
        storage: Of `SAMPLED_FROM_BYTES` at least.
        base: What it is compared with.
        word_bytes: As for the delta.

    Raises:
        BrokenDeltaError: A delta of the base is damaged.
    """
    size_bytes = storage.nbytes()
    count = min(size_bytes // SAMPLED_FROM_BYTES, _MAX_BLOCKS)
    distance = size_bytes // count
    found = 0
    for i in range(count):
        start = (i * distance + (distance - _BLOCK_BYTES) // 2) // _ALIGNED_BYTES * _ALIGNED_BYTES
        found += len(frame_of(base, word_bytes, start, _block(storage, start)))
    return found <= _MOST * count * _BLOCK_BYTES


def _block(storage: torch.UntypedStorage, start: int) -> Octets:
    if storage.device.type == "cpu":
        return np.frombuffer(readable(storage)[start : start + _BLOCK_BYTES], np.uint8)
    with without_dispatch_modes(), torch.no_grad():
        source = torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)
        octets: Octets = source[start : start + _BLOCK_BYTES].cpu().numpy()
        return octets
