"""The storages that a reader handed out and somebody still uses.

So that equal contents read twice are one storage, and views alias again. The
references are weak: the map keeps no storage alive.
"""

import weakref
from collections.abc import Iterable
from typing import TypeAlias

import torch

from torchstash.cache.digest import Digest
from torchstash.cache.fork_safe_lock import fork_safe_lock

Key: TypeAlias = tuple[torch.device, bytes]
"""A device, and a digest."""


class LiveStorages:
    """Storages by device and digest. Thread-safe."""

    def __init__(self) -> None:
        self._lock = fork_safe_lock()
        self._storages: weakref.WeakValueDictionary[Key, torch.UntypedStorage] = (
            weakref.WeakValueDictionary()
        )

    def get(
        self, digest: Digest, device: torch.device, size_bytes: int
    ) -> torch.UntypedStorage | None:
        """The storage in use; None where there is none, or its user has resized it."""
        with self._lock:
            storage = self._storages.get((device, digest.raw))
            return storage if storage is not None and storage.nbytes() == size_bytes else None

    def get_all(self, wanted: Iterable[tuple[Key, int]]) -> dict[Key, torch.UntypedStorage]:
        """Those in use of many storages, given with their sizes in bytes."""
        found = {}
        with self._lock:
            if self._storages:
                get = self._storages.get
                for key, size_bytes in wanted:
                    live = get(key)
                    if live is not None and live.nbytes() == size_bytes:
                        found[key] = live
        return found

    def share_all(
        self, storages: Iterable[tuple[Key, torch.UntypedStorage]]
    ) -> dict[Key, torch.UntypedStorage]:
        """`share` for many storages, each with its device and digest."""
        shared = {}
        with self._lock:
            get, keep = self._storages.get, self._storages.__setitem__
            for key, storage in storages:
                first = get(key)
                if first is None or first.nbytes() != storage.nbytes():
                    keep(key, storage)
                    first = storage
                shared[key] = first
        return shared

    def share(self, digest: Digest, storage: torch.UntypedStorage) -> torch.UntypedStorage:
        """The one storage for these contents: another thread's if it was first, else this one."""
        key = (storage.device, digest.raw)
        with self._lock:
            first = self._storages.get(key)
            if first is not None and first.nbytes() == storage.nbytes():
                return first
            self._storages[key] = storage
            return storage
