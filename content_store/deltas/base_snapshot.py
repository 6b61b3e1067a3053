"""The snapshot that another one is saved against: which storage of it each is compared with."""

from collections.abc import Mapping, Sequence
from typing import Self

from google.protobuf.message import DecodeError

from torchstash.cache.digest import Digest
from torchstash.cache.disk import DiskBackend
from torchstash.cache.errors import CorruptEntryError
from torchstash.content_store.deltas.stored_storage import StoredStorage, stored_storages
from torchstash.content_store.deltas.tensor_paths import storage_paths
from torchstash.content_store.errors import MissingSnapshotError
from torchstash.content_store.names import snapshot_key
from torchstash.proto.content_store.v1.snapshot_manifest_pb2 import SnapshotManifest


class BaseSnapshot:
    """The storages of a snapshot, by path and by position; see `read`."""

    def __init__(self, storages: Sequence[StoredStorage], by_path: Mapping[str, int]) -> None:
        self._storages = storages
        self._by_path = by_path
        self._by_digest = {storage.digest: storage for storage in storages}

    @classmethod
    def read(cls, backend: DiskBackend, name: str) -> Self:
        """The snapshot `name`; one without storages where its manifest is damaged.

        Raises:
            InvalidNameError: `name` is not 1 byte to 1 KiB of UTF-8.
            MissingSnapshotError: There is none.
            BackendError: The store cannot be read.
        """
        key = snapshot_key(name)
        try:
            data = backend.get(key)
        except CorruptEntryError:
            return cls((), {})
        if data is None:
            raise MissingSnapshotError(
                f"no snapshot {name!r} in the content store at {backend.path} to save against; "
                "check the name against ContentStoreReader.snapshots, or save without a base"
            )
        manifest = SnapshotManifest()
        try:
            manifest.ParseFromString(data)
            storages = stored_storages(manifest)
        except (DecodeError, ValueError):
            return cls((), {})
        by_path: dict[str, int] = {}
        for path, index in storage_paths(manifest):
            if index < len(storages):
                by_path.setdefault(path, index)
        return cls(storages, by_path)

    def counterparts(
        self, manifest: SnapshotManifest, sizes_bytes: Sequence[int]
    ) -> list[StoredStorage | None]:
        """For each storage of another snapshot the one of this that it probably was.

        That is the one under the path of a tensor over it, or else, where both snapshots have as
        many storages, the one at its position; always of its size.

        Args:
            manifest: Of that snapshot; of its storages only their number counts.
            sizes_bytes: Of each of its storages.
        """
        found: list[StoredStorage | None] = [None] * len(sizes_bytes)
        for path, index in storage_paths(manifest):
            if found[index] is None and (at := self._by_path.get(path)) is not None:
                found[index] = self._of_size(at, sizes_bytes[index])
        if len(sizes_bytes) == len(self._storages):
            for i, size_bytes in enumerate(sizes_bytes):
                if found[i] is None:
                    found[i] = self._of_size(i, size_bytes)
        return found

    def _of_size(self, index: int, size_bytes: int) -> StoredStorage | None:
        storage = self._storages[index]
        return storage if storage.size_bytes == size_bytes else None

    def same(self, digest: Digest, size_bytes: int) -> StoredStorage | None:
        """The storage of these contents, whatever its path."""
        storage = self._by_digest.get(digest)
        return storage if storage is not None and storage.size_bytes == size_bytes else None
