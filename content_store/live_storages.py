"""The storages that a reader handed out and somebody still uses.

So that equal contents read twice are one storage, and views alias again. The
references are weak: the map keeps no storage alive.
"""

import weakref

import torch

from torchstash.cache.digest import Digest
from torchstash.cache.fork_safe_lock import fork_safe_lock


class LiveStorages:
    """Storages by device and digest. Thread-safe."""

    def __init__(self) -> None:
        self._lock = fork_safe_lock()
        self._storages: weakref.WeakValueDictionary[
            tuple[torch.device, bytes], torch.UntypedStorage
        ] = weakref.WeakValueDictionary()

    def get(
        self, digest: Digest, device: torch.device, size_bytes: int
    ) -> torch.UntypedStorage | None:
        """The storage in use; None where there is none, or its user has resized it."""
        with self._lock:
            storage = self._storages.get((device, digest.raw))
            return storage if storage is not None and storage.nbytes() == size_bytes else None

    def share(self, digest: Digest, storage: torch.UntypedStorage) -> torch.UntypedStorage:
        """The one storage for these contents: another thread's if it was first, else this one."""
        key = (storage.device, digest.raw)
        with self._lock:
            first = self._storages.get(key)
            if first is not None and first.nbytes() == storage.nbytes():
                return first
            self._storages[key] = storage
            return storage
