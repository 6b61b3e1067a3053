"""Hands many storages to the engine at once: hashing, fetching and writing overlap.

Each storage is hashed where it lies; what the store lacks of it is written by the
thread that hashed it, while others hash. Storages on the CPU are written from their
own memory. From any other device come slices, of which the host holds one for each
thread: `WINDOW_BYTES` altogether, whatever the sizes of the tensors.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import torch

from torchstash.cache.digest import Digest
from torchstash.cache.disk import Batch, Put
from torchstash.cache.fork_safe_lock import fork_safe_lock
from torchstash.content_store.contents import SLICE_BYTES, addressed

# Below, a thread costs more than it brings.
_THREADS_FROM_BYTES: Final = 256 << 10
# As many as can hash, and some that wait for the medium meanwhile.
_THREADS: Final = min(8, (os.cpu_count() or 1) + 2)

WINDOW_BYTES: Final = _THREADS * SLICE_BYTES


def keep_storages(batch: Batch, storages: Sequence[torch.UntypedStorage]) -> list[Digest]:
    """Adds the contents of each to `batch`, without a name; their digests in order.

    The storages must stay alive and unchanged until the batch has ended.

    Raises:
        UnsupportedStorageError: One of them has no bytes.
        BackendError: One of them could not be written.
    """
    keeper = _Keeper(batch)
    digests: dict[int, Digest] = {}
    large: list[int] = []
    for i, storage in enumerate(storages):
        if storage.nbytes() < _THREADS_FROM_BYTES:
            digests[i] = keeper.keep(storage)
        else:
            large.append(i)
    if len(large) == 1:
        digests[large[0]] = keeper.keep(storages[large[0]])
    elif large:
        # The largest first, so that no thread is left alone with one at the end.
        large.sort(key=lambda i: -storages[i].nbytes())
        with ThreadPoolExecutor(min(_THREADS, len(large)), "torchstash-keep") as executor:
            try:
                found = list(executor.map(keeper.keep, (storages[i] for i in large)))
            except BaseException:
                executor.shutdown(cancel_futures=True)
                raise
            digests.update(zip(large, found, strict=True))
    return [digests[i] for i in range(len(storages))]


class _Keeper:
    """Adds each contents once, however many storages have them."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._seen: set[Digest] = set()
        self._lock = fork_safe_lock()

    def keep(self, storage: torch.UntypedStorage) -> Digest:
        digest, contents = addressed(storage)
        with self._lock:
            is_first = digest not in self._seen
            self._seen.add(digest)
        if is_first:
            self._batch.add(Put(None, contents, digest))
        return digest
