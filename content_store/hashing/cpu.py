"""Hashes CPU storages with the BLAKE3 library, over their own memory.

No copy and no random numbers; the library releases the GIL, and spreads a large
storage over all cores.
"""

import torch

from torchstash.cache.blake3_hasher import hash_whole
from torchstash.cache.digest import Digest
from torchstash.content_store.memory import readable


def digest(storage: torch.UntypedStorage) -> Digest:
    """The BLAKE3 digest of a storage on the CPU."""
    return Digest(hash_whole(readable(storage)))
