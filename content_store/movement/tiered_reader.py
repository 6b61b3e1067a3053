"""Reads from a near store, and fetches from a far place what it lacks.

What is fetched is verified on arrival and kept in the near store, whole, like any `pull`; so the
next read is a near one, here and in every other process. Where the near store cannot be written,
what is fetched goes to a temporary folder that goes with the reader.

What the near store has is not asked for again: a name that was replaced at the far place stays as
it was fetched. `fetch` brings it up to date.
"""

import heapq
import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import Any, Self, TypeVar

import torch

from torchstash.cache.digest import Digest
from torchstash.cache.disk import DiskBackend
from torchstash.content_store.errors import (
    ContentStoreError,
    CorruptStoreError,
    MissingSnapshotError,
    MissingStorageError,
    MissingStoreError,
    MissingTensorError,
    NotInStoreError,
    PlaceUnavailableError,
    StoreUnavailableError,
)
from torchstash.content_store.movement.layout import described
from torchstash.content_store.movement.name_index import listed_keys
from torchstash.content_store.movement.place import Place, open_store, opened
from torchstash.content_store.movement.remote import Remote
from torchstash.content_store.movement.source import Source
from torchstash.content_store.movement.transfers import pull_into
from torchstash.content_store.names import (
    SNAPSHOT_PREFIX,
    TENSOR_PREFIX,
    snapshot_key,
    storage_key,
    tensor_key,
)
from torchstash.content_store.read_mode import ReadMode
from torchstash.content_store.reader import ContentStoreReader
from torchstash.proto.content_store.v1.tensor_metadata_pb2 import TensorMetadata

T = TypeVar("T")


class TieredReader:
    """A `ContentStoreReader` of the store at `near` that fetches what it lacks from `far`.

    Thread-safe. Every method that reads may also raise `PlaceUnavailableError`, where the near
    store lacks what is asked for and the far place fails, and says of what is missing that it is at
    neither.

    Args:
        near: The folder of the near store, made when it is first filled.
        far: As `push` takes it: what was pushed there, or a store in another folder.
        cache: As `ContentStoreReader`.
        verify: As `ContentStoreReader`, of what is near; what is fetched is always verified.
        mode: As `ContentStoreReader`.
    """

    def __init__(
        self,
        near: str | os.PathLike[str],
        far: Place,
        *,
        cache: bool = True,
        verify: bool = True,
        mode: ReadMode | str = ReadMode.AUTO,
    ) -> None:
        self._folder = Path(near).absolute()
        self._far_place = far
        self._settings: dict[str, Any] = {"cache": cache, "verify": verify, "mode": mode}
        self._lock = threading.Lock()
        self._resources = ExitStack()
        self._far: DiskBackend | Remote | None = None
        self._near = self._resources.enter_context(
            ContentStoreReader(self._folder, **self._settings)
        )
        # The folder for what the near store cannot take, once there is one.
        self._scratch: tuple[Path, ContentStoreReader] | None = None

    def read_tensor(
        self, name: str, *, device: torch.device | str | int | None = None
    ) -> torch.Tensor:
        """As `ContentStoreReader.read_tensor`, fetched if need be."""
        return self._read(
            lambda reader: reader.read_tensor(name, device=device),
            [tensor_key(name)],
            MissingTensorError,
        )

    def read_tensors(
        self, names: Iterable[str], *, device: torch.device | str | int | None = None
    ) -> dict[str, torch.Tensor]:
        """As `ContentStoreReader.read_tensors`; if one of them is missing, all are looked up."""
        names = list(names)
        return self._read(
            lambda reader: reader.read_tensors(names, device=device),
            [tensor_key(name) for name in names],
            MissingTensorError,
        )

    def read_tensor_metadata(self, name: str) -> TensorMetadata:
        """As `ContentStoreReader.read_tensor_metadata`; the tensor is fetched if need be."""
        return self._read(
            lambda reader: reader.read_tensor_metadata(name),
            [tensor_key(name)],
            MissingTensorError,
        )

    def read_storage(
        self, h: str, *, device: torch.device | str | int | None = None
    ) -> torch.UntypedStorage:
        """As `ContentStoreReader.read_storage`, fetched if need be: any contents by their digest.

        Whatever the far place has under that digest is meant: what `write_storage` kept, and as
        well the storage of a tensor, or of a snapshot, that is not fetched with it. It is hashed
        on arrival and kept near as `write_storage` would keep it.
        """
        try:
            keys = [storage_key(Digest.from_hex(h))]
        except ValueError:
            keys = []
        return self._read(
            lambda reader: reader.read_storage(h, device=device), keys, MissingStorageError
        )

    def load_state_dict(
        self,
        name: str,
        *,
        device: torch.device | str | int | None = None,
        mode: ReadMode | str | None = None,
    ) -> Any:  # noqa: ANN401 - the caller knows what was saved
        """As `ContentStoreReader.load_state_dict`, fetched if need be."""
        return self._read(
            lambda reader: reader.load_state_dict(name, device=device, mode=mode),
            [snapshot_key(name)],
            MissingSnapshotError,
        )

    def names(self, prefix: str = "") -> Iterator[str]:
        """The names of all tensors that begin with `prefix`, near and far, in order.

        Raises:
            PlaceUnlistableError: The far place can neither list nor has an index of names.
        """
        return self._listed(TENSOR_PREFIX, prefix, self._near.names)

    def snapshots(self, prefix: str = "") -> Iterator[str]:
        """The names of all snapshots that begin with `prefix`, like `names`."""
        return self._listed(SNAPSHOT_PREFIX, prefix, self._near.snapshots)

    def fetch(self, names: Iterable[str] = (), *, snapshots: Iterable[str] = ()) -> None:
        """Bring tensors and snapshots near, or up to date, without reading them.

        Raises:
            NotInStoreError: The far place lacks one of them.
        """
        keys = [*map(tensor_key, names), *map(snapshot_key, snapshots)]
        self._fetch(keys, NotInStoreError)

    def close(self) -> None:
        """Gives everything back, the temporary folder included."""
        self._resources.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(
        self,
        read: Callable[[ContentStoreReader], T],
        keys: list[str],
        missing: type[NotInStoreError],
    ) -> T:
        scratch = self._scratch
        if scratch is not None:
            try:
                return read(scratch[1])
            except (MissingStoreError, NotInStoreError):
                pass
        try:
            return read(self._near)
        except (MissingStoreError, NotInStoreError, CorruptStoreError) as error:
            try:
                folder = self._fetch(keys, missing)
            except PlaceUnavailableError as failure:
                if isinstance(error, CorruptStoreError):
                    raise error from failure
                raise
        if folder is None:
            return read(self._near)
        return read(self._scratch_reader(folder))

    def _fetch(self, keys: list[str], missing: type[NotInStoreError]) -> Path | None:
        """Bring keys near; the temporary folder, where they had to go there."""
        if not keys:
            raise missing(f"nothing of that name in the content store at {self._folder}")
        far = self._opened_far()
        if self._scratch is None:
            try:
                with open_store(self._folder, to_write=True) as store:
                    pull_into(store, far, self._present(keys, missing), any_contents=True)
                    return None
            except StoreUnavailableError:
                pass  # Read-only, or full: it goes elsewhere.
        folder = self._scratch_folder()
        with open_store(folder, to_write=True) as store:
            pull_into(store, far, self._present(keys, missing), any_contents=True)
        return folder

    def _present(
        self, keys: list[str], missing: type[NotInStoreError]
    ) -> Callable[[Source], list[str]]:
        def selected(source: Source) -> list[str]:
            found = source.find(keys, again=True)
            for key in keys:
                if key not in found:
                    raise missing(
                        f"{described(key)} is neither in the content store at {self._folder} nor "
                        f"at {source.place}; check the name, or push it there"
                    )
            return keys

        return selected

    def _listed(
        self, kind: str, prefix: str, near: Callable[[str], Iterator[str]]
    ) -> Iterator[str]:
        far = self._opened_far()
        whole = kind + prefix
        keys = listed_keys(far, whole) if isinstance(far, Remote) else far.keys(whole)
        theirs = (key.removeprefix(kind) for key in keys)
        merged = heapq.merge(_present_names(near, prefix), theirs, key=str.encode)
        return (name for name, _ in groupby(merged))

    def _opened_far(self) -> DiskBackend | Remote:
        with self._lock:
            if self._far is None:
                self._far = self._resources.enter_context(opened(self._far_place, to_write=False))
            return self._far

    def _scratch_folder(self) -> Path:
        with self._lock:
            if self._scratch is None:
                folder = Path(
                    self._resources.enter_context(
                        tempfile.TemporaryDirectory(prefix="torchstash-far-")
                    )
                )
                reader = ContentStoreReader(folder, **self._settings)
                self._scratch = folder, self._resources.enter_context(reader)
            return self._scratch[0]

    def _scratch_reader(self, folder: Path) -> ContentStoreReader:
        if self._scratch is None:
            raise ContentStoreError(f"the temporary folder {folder} is gone: the reader was closed")
        return self._scratch[1]


def _present_names(names: Callable[[str], Iterator[str]], prefix: str) -> Iterator[str]:
    try:
        yield from names(prefix)
    except MissingStoreError:
        return
