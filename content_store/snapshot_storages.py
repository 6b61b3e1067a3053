"""Loads the storages of a snapshot: what the store has in full as it is, the others from chains."""

from collections.abc import Mapping

import torch

from torchstash.cache.digest import Digest
from torchstash.cache.disk import Blob
from torchstash.content_store.deltas import Wanted, load_chains
from torchstash.content_store.devices import CPU, recorded_device
from torchstash.content_store.engine_errors import store_errors
from torchstash.content_store.errors import CorruptStorageError
from torchstash.content_store.parsed_snapshot import ParsedSnapshot
from torchstash.content_store.storage_source import Asked, StorageSource


def load_storages(
    source: StorageSource,
    snapshot: ParsedSnapshot,
    manifest_digest: Digest,
    target: torch.device | None,
    *,
    mapped: bool,
) -> list[torch.UntypedStorage] | None:
    """A fresh storage for each, on `target` or where it was; None where one is gone.

    Raises:
        CorruptStoreError: One of them is damaged.
        DeviceUnavailableError: Its device is not on this machine.
    """
    kept = snapshot.storages
    blobs = _located(source, snapshot, manifest_digest)
    load = _Load(source, snapshot, blobs, _devices(snapshot, target), mapped=mapped)
    chained = {i for i, storage in enumerate(kept) if storage.chain is not None}
    # What the store has in full is used, even where the manifest knows a chain.
    needed = {i for i in chained if blobs.get(kept[i].digest.raw) is None}
    try:
        return load.storages(needed)
    except CorruptStorageError:
        if needed == chained:
            raise
        return load.storages(chained)


def _located(
    source: StorageSource, snapshot: ParsedSnapshot, manifest_digest: Digest
) -> dict[bytes, Blob]:
    """Where the store has the storages and what they are made from, those of it that it has."""
    with store_errors(source.location):
        linked = source.backend().locate_linked(manifest_digest)
        blobs = {blob.digest.raw: blob for blob in linked}
        # What a chain makes may be there by another name. And the manifest may have gone.
        wanted = [storage.digest for storage in snapshot.storages]
        wanted += [
            d
            for storage in snapshot.storages
            if storage.chain is not None
            for d in storage.digests()
        ]
        others = [digest for digest in wanted if digest.raw not in blobs]
        if others:
            found = source.backend().locate_all_contents(dict.fromkeys(others))
            blobs.update((blob.digest.raw, blob) for blob in found if blob is not None)
    return blobs


def _devices(snapshot: ParsedSnapshot, target: torch.device | None) -> list[torch.device]:
    devices = [target or CPU] * len(snapshot.storages)
    if target is None:
        for index, description in zip(snapshot.indices, snapshot.descriptions, strict=True):
            if description.plain is None or not description.plain.on_cpu:
                devices[index] = recorded_device(description.metadata, snapshot.name)
    return devices


class _Load:
    """All that the storages of one snapshot are loaded from."""

    def __init__(
        self,
        source: StorageSource,
        snapshot: ParsedSnapshot,
        blobs: Mapping[bytes, Blob],
        devices: list[torch.device],
        *,
        mapped: bool,
    ) -> None:
        self._source = source
        self._snapshot = snapshot
        self._blobs = blobs
        self._devices = devices
        self._mapped = mapped

    def storages(self, chained: set[int]) -> list[torch.UntypedStorage] | None:
        """Each storage, those of `chained` from their chains; None where something is gone."""
        indices = [i for i in range(len(self._devices)) if i not in chained]
        loaded = self._in_full(indices)
        if loaded is None or not chained:
            return loaded
        made = load_chains(self._source, self._wanted(chained), self._blobs, mapped=self._mapped)
        if made is None:
            return None
        found = dict(zip(indices, loaded, strict=True))
        found.update(zip(sorted(chained), made, strict=True))
        return [found[i] for i in range(len(self._devices))]

    def _in_full(self, indices: list[int]) -> list[torch.UntypedStorage] | None:
        wanted_by = f"the snapshot {self._snapshot.name!r}"
        asked = []
        storages, blobs, devices = self._snapshot.storages, self._blobs, self._devices
        for i in indices:
            storage = storages[i]
            blob = blobs.get(storage.digest.raw)
            if blob is None:
                return None
            if blob.size_bytes != storage.size_bytes:
                raise self._snapshot.damaged("a storage of it has another size in the store")
            asked.append(Asked(blob, devices[i], wanted_by))
        return self._source.all_fresh(asked, mapped=self._mapped)

    def _wanted(self, chained: set[int]) -> list[Wanted]:
        places = self._snapshot.places()
        wanted = []
        for i in sorted(chained):
            storage, place = self._snapshot.storages[i], places.get(i, "no place")
            wanted_by = f"the snapshot {self._snapshot.name!r}, at {place},"
            wanted.append(Wanted(storage, self._devices[i], wanted_by))
        return wanted
