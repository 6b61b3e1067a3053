"""The storages of a store that is read: mapped or copied, checked, moved, shared while in use."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import torch

from torchstash.cache.digest import Digest
from torchstash.cache.disk import Blob, DiskBackend
from torchstash.cache.errors import CacheError
from torchstash.content_store.blobs import BlobLoader
from torchstash.content_store.devices import CPU
from torchstash.content_store.engine_errors import store_errors
from torchstash.content_store.errors import CorruptStorageError, StoreUnavailableError
from torchstash.content_store.live_storages import LiveStorages
from torchstash.content_store.many_blobs import copy_small, map_unchecked
from torchstash.content_store.read_mode import ReadMode

# A look-up and the reading of what it gave are two steps, between which others may write.
LOOKUP_ATTEMPTS: Final = 10
_READINGS_OF_DAMAGE: Final = 2

# Below, a thread costs more than it brings.
_THREADS_FROM_BYTES: Final = 4 << 20
_THREAD_EACH_FROM_BYTES: Final = 256 << 10
_THREADS: Final = min(8, os.cpu_count() or 1)


class Asked(NamedTuple):
    """A storage that is to be read.

    Attributes:
        blob: Where its contents are.
        device: Where it shall be.
        wanted_by: For messages: whose it is.
    """

    blob: Blob
    device: torch.device
    wanted_by: str


class StorageSource:
    """Reads the store at `location`, which the first use opens. Thread-safe.

    Args:
        location: The folder of the store.
        cache: Equal contents on one device are one live storage while anybody uses it.
        verify: Check the digest of each file when it is first read.
        mode: How to read large storages.
    """

    def __init__(self, location: Path, *, cache: bool, verify: bool, mode: ReadMode | str) -> None:
        self.location = location
        self._opened: DiskBackend | None = None
        self._live = LiveStorages() if cache else None
        self._verify = verify
        self._blobs = BlobLoader(verify=verify)
        self._unchecked = BlobLoader(verify=False)
        self._mode = ReadMode(mode)

    def backend(self) -> DiskBackend:
        """The engine.

        Raises:
            BackendError: There is no store, or it cannot be opened.
        """
        if self._opened is None:
            self._opened = DiskBackend.open_read_only(self.location)
        return self._opened

    def close(self) -> None:
        """Give back files and connections."""
        if self._opened is not None:
            self._opened.close()

    def mapped(self, mode: ReadMode | str | None) -> bool:
        """Whether `mode` maps files; None: the reader's own."""
        mode = self._mode if mode is None else ReadMode(mode)
        if mode is not ReadMode.AUTO:
            return mode is ReadMode.MAPPED
        with store_errors(self.location):
            return not self.backend().is_on_network

    def shared(
        self, blob: Blob, device: torch.device, wanted_by: str
    ) -> torch.UntypedStorage | None:
        """The live storage with those contents, or a fresh one.

        None where another process has replaced or deleted them meanwhile: look them up again.

        Raises:
            CorruptStorageError: The contents are damaged.
        """
        if self._live is not None:
            live = self._live.get(blob.digest, device, blob.size_bytes)
            if live is not None:
                return live
        # Only a file can be mapped.
        mapped = blob.file is not None and self.mapped(None)
        storage = self.fresh(blob, device, wanted_by, mapped=mapped)
        if storage is None or self._live is None:
            return storage
        return self._live.share(blob.digest, storage)

    def fresh(
        self, blob: Blob, device: torch.device, wanted_by: str, *, mapped: bool
    ) -> torch.UntypedStorage | None:
        """`shared`, but a storage that nobody else has."""
        return self._load(self._blobs, blob, device, wanted_by, mapped=mapped)

    def unchecked(self, blob: Blob, wanted_by: str, *, mapped: bool) -> torch.UntypedStorage | None:
        """`fresh` on the CPU; a file is not hashed, for the caller hashes what it makes of it."""
        return self._load(self._unchecked, blob, CPU, wanted_by, mapped=mapped)

    def verify(self, blob: Blob, wanted_by: str) -> bool:
        """Whether the contents are there still.

        Raises:
            CorruptStorageError: They are, and are damaged.
        """
        return self._load(BlobLoader(verify=True), blob, CPU, wanted_by, mapped=True) is not None

    def _load(
        self, loader: BlobLoader, blob: Blob, device: torch.device, wanted_by: str, *, mapped: bool
    ) -> torch.UntypedStorage | None:
        readings = 1
        while True:
            try:
                return loader.load(blob, wanted_by, device, mapped=mapped)
            except CorruptStorageError:
                with store_errors(self.location):
                    now = self.backend().locate_contents(blob.digest)
                if now is None or (now.extent, now.file) != (blob.extent, blob.file):
                    return None
                # Removed meanwhile, and put back where they were: once may be chance.
                if readings == _READINGS_OF_DAMAGE:
                    self._report_damage(blob.digest)
                    raise
                readings += 1

    def all_shared(self, asked: Sequence[Asked]) -> list[torch.UntypedStorage] | None:
        """`shared` for each; None where one is gone."""
        mapped = self.mapped(None)
        if self._live is None:
            return self.all_fresh(asked, mapped=mapped)
        keys = [(one.device, one.blob.digest.raw) for one in asked]
        sizes_bytes = [one.blob.size_bytes for one in asked]
        found = self._live.get_all(zip(keys, sizes_bytes, strict=True))
        missing = {key: one for key, one in zip(keys, asked, strict=True) if key not in found}
        fresh = self.all_fresh(list(missing.values()), mapped=mapped)
        if fresh is None:
            return None
        found.update(self._live.share_all(zip(missing, fresh, strict=True)))
        return [found[key] for key in keys]

    def all_fresh(
        self, asked: Sequence[Asked], *, mapped: bool
    ) -> list[torch.UntypedStorage] | None:
        """`fresh` for each; with threads where their bytes are all read. None: one is gone."""
        near = [(i, one.blob) for i, one in enumerate(asked) if one.device == CPU]
        found = copy_small(near)
        if mapped and not self._verify:
            found.update(map_unchecked(near))
        others = [i for i in range(len(asked)) if i not in found]
        for i, storage in zip(others, self._one_by_one(asked, others, mapped), strict=False):
            if storage is None:
                return None
            found[i] = storage
        return [found[i] for i in range(len(asked))]

    def _one_by_one(
        self, asked: Sequence[Asked], wanted: Sequence[int], mapped: bool
    ) -> Iterator[torch.UntypedStorage | None]:
        """`fresh` for those that are wanted."""

        def load(i: int) -> torch.UntypedStorage | None:
            return self.fresh(*asked[i], mapped=mapped)

        size_bytes = sum(asked[i].blob.size_bytes for i in wanted)
        if size_bytes < _THREADS_FROM_BYTES or len(wanted) == 1:
            yield from map(load, wanted)
            return
        large = [i for i in wanted if asked[i].blob.size_bytes >= _THREAD_EACH_FROM_BYTES]
        with ThreadPoolExecutor(_THREADS, "torchstash-load") as executor:
            found = dict(zip(large, executor.map(load, large), strict=True))
        for i in wanted:
            yield found[i] if i in found else load(i)

    def overtaken(self, wanted_by: str) -> StoreUnavailableError:
        """The error for what was replaced at every attempt to read it."""
        return StoreUnavailableError(
            f"{wanted_by} in the content store at {self.location} was replaced at each of "
            f"{LOOKUP_ATTEMPTS} attempts to read it; try again"
        )

    def _report_damage(self, digest: Digest) -> None:
        """Lets the next writer of the same contents write them again. Best effort.

        A reader writes nothing else; where it may not write, its user has the error alone.
        """
        with suppress(CacheError), DiskBackend(self.location) as backend:
            backend.mark_damaged(digest)
