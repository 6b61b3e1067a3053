"""Hashes CPU storages with the BLAKE3 library, over their own memory.

No copy and no random numbers; the library releases the GIL, and spreads a large
storage over all cores.
"""

import torch

from torchstash.cache.digest import Digest
from torchstash.content_store.hashing.library import digest_of
from torchstash.content_store.memory import readable


def digest(storage: torch.UntypedStorage) -> Digest:
    """The BLAKE3 digest of a storage on the CPU."""
    return digest_of(readable(storage))
