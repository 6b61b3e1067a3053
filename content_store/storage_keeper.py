"""Hands many storages to the engine at once: hashing, fetching and writing overlap.

Storages on a device are hashed there, all of them together. Those on the CPU are
hashed by several threads; what the store lacks of one is written, from its own memory,
by the thread that hashed it, while others hash. From any other device come slices, of
which the host holds one for each thread: `WINDOW_BYTES` altogether, whatever the sizes
of the tensors.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import torch

from torchstash.cache.digest import Digest
from torchstash.cache.disk import Batch, Put, Slices
from torchstash.cache.fork_safe_lock import fork_safe_lock
from torchstash.content_store.contents import SLICE_BYTES, addressed, contents_of
from torchstash.content_store.hashing import digest_storages

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
    elsewhere = [i for i, storage in enumerate(storages) if storage.device.type != "cpu"]
    digests = dict(zip(elsewhere, digest_storages(storages[i] for i in elsewhere), strict=True))
    large: list[int] = []
    for i, storage in enumerate(storages):
        if storage.nbytes() < _THREADS_FROM_BYTES:
            digests[i] = keeper.keep(storage, digests.get(i))
        else:
            large.append(i)
    if len(large) == 1:
        digests[large[0]] = keeper.keep(storages[large[0]], digests.get(large[0]))
    elif large:
        # The largest first, so that no thread is left alone with one at the end.
        large.sort(key=lambda i: -storages[i].nbytes())
        with ThreadPoolExecutor(min(_THREADS, len(large)), "torchstash-keep") as executor:
            try:
                found = list(
                    executor.map(lambda i: keeper.keep(storages[i], digests.get(i)), large)
                )
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

    def keep(self, storage: torch.UntypedStorage, digest: Digest | None) -> Digest:
        """Adds a storage, whose digest the caller may have already; its digest."""
        contents: memoryview | Slices
        if digest is None:
            digest, contents = addressed(storage)
        else:
            contents = contents_of(storage)
        with self._lock:
            is_first = digest not in self._seen
            self._seen.add(digest)
        if is_first:
            self._batch.add(Put(None, contents, digest))
        return digest
