"""Hashes CPU storages with the BLAKE3 library, over their own memory.

No copy and no random numbers. The library releases the GIL, and spreads a large storage
over all cores; of a batch, storages that are too small for that go over threads whole.
"""

import os
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import torch

from torchstash.cache.blake3_hasher import THREADS_FROM_BYTES, hash_whole
from torchstash.cache.digest import Digest
from torchstash.content_store.hashing.pending import Pending
from torchstash.content_store.memory import readable

# Smaller storages are hashed before another thread has taken them, and threads are worth
# starting for a batch of that size (measured).
_THREADED_FROM_BYTES: Final = 32 << 10
_BATCH_FROM_BYTES: Final = 1 << 20


def digest(storage: torch.UntypedStorage) -> Digest:
    """The BLAKE3 digest of a storage on the CPU."""
    return Digest(hash_whole(readable(storage)))


def begin(storages: Sequence[torch.UntypedStorage]) -> Pending:
    """The digests of CPU storages, computed when they are asked for."""
    return lambda: _digests(storages)


def _digests(storages: Sequence[torch.UntypedStorage]) -> list[bytes]:
    contents = [readable(storage) for storage in storages]
    threaded = {
        i
        for i, view in enumerate(contents)
        if _THREADED_FROM_BYTES <= len(view) < THREADS_FROM_BYTES
    }
    helpers = min(len(threaded), os.cpu_count() or 1) - 1
    if helpers <= 0 or sum(len(contents[i]) for i in threaded) < _BATCH_FROM_BYTES:
        return [hash_whole(view) for view in contents]
    waiting = deque(threaded)
    found: dict[int, bytes] = {}

    def hash_waiting() -> None:
        while True:
            try:
                i = waiting.popleft()
            except IndexError:
                return
            found[i] = hash_whole(contents[i])

    with ThreadPoolExecutor(helpers) as pool:
        helping = [pool.submit(hash_waiting) for _ in range(helpers)]
        hash_waiting()
    for helper in helping:
        helper.result()
    return [found[i] if i in found else hash_whole(view) for i, view in enumerate(contents)]
