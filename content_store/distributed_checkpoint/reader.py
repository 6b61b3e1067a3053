"""The reader that `torch.distributed.checkpoint.load` takes.

Each rank reads the manifest, and then maps the storages of what it needs; the planner's own copy
into the tensors of the caller is the only one.
"""

import dataclasses
import io
import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import torch
from torch.distributed.checkpoint import LoadPlan, LoadPlanner, StorageReader
from torch.distributed.checkpoint.metadata import Metadata, StorageMeta
from torch.distributed.checkpoint.planner import LoadItemType, ReadItem
from torch.futures import Future
from typing_extensions import override

from torchstash.cache.blake3_hasher import hash_whole
from torchstash.content_store.devices import CPU
from torchstash.content_store.distributed_checkpoint.stored_checkpoint import (
    StoredCheckpoint,
    StoredTensor,
)
from torchstash.content_store.engine_errors import store_errors
from torchstash.content_store.errors import (
    CorruptMetadataError,
    IncompleteCheckpointError,
    InvalidNameError,
    MissingSnapshotError,
)
from torchstash.content_store.names import is_snapshot_name, snapshot_key
from torchstash.content_store.read_mode import ReadMode
from torchstash.content_store.rebuild import rebuild_described
from torchstash.content_store.snapshot_reading import load_snapshot
from torchstash.content_store.storage_source import Asked, StorageSource

WINDOW_BYTES: Final = 512 << 20
"""Of storages that a rank holds at once where files are copied instead of mapped."""


class CheckpointReader(StorageReader):
    """Reads what `CheckpointWriter` or `save_state_dict` kept, onto any number of ranks and mesh.

    Every storage is checked against its digest before anything of it is used. Nothing that the
    store holds is unpickled.

    Errors arrive inside the `CheckpointException` of `torch.distributed.checkpoint`, by rank:
    `MissingSnapshotError`, `CorruptStoreError`, `IncompleteCheckpointError` where the ranks found
    different versions or it was replaced meanwhile.

    Args:
        loc: The folder of the store.
        name: That of the checkpoint. None: `checkpoint_id` of each call says it.
        verify: Check each storage when it is read. False: only the sizes of large ones are.
        mode: How large storages are read: "mapped", "copied", or as the medium suggests.
    """

    def __init__(
        self,
        loc: str | os.PathLike[str],
        name: str | None = None,
        *,
        verify: bool = True,
        mode: ReadMode | str = ReadMode.AUTO,
    ) -> None:
        self._location = Path(loc).absolute()
        self._name = name
        self._verify = verify
        self._mode = ReadMode(mode)
        self._load_id = uuid.uuid4().hex
        self._stored: StoredCheckpoint | None = None

    @property
    def checkpoint_id(self) -> str | None:
        """The name of the checkpoint that is read; `torch.distributed.checkpoint` logs it."""
        return self._name

    @override
    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        if checkpoint_id is not None:
            self._name = os.fspath(checkpoint_id)
        self._stored = None
        self._load_id = uuid.uuid4().hex

    @override
    def read_metadata(self, *args: Any, **_: Any) -> Metadata:
        """What was saved under the name: names, sizes, dtypes and chunks.

        Raises:
            MissingSnapshotError: Nothing was.
            CorruptMetadataError: What was recorded is damaged.
            UnsupportedValueError: It is a snapshot of something that is no dict.
        """
        if self._name is None:
            raise InvalidNameError(
                "the checkpoint has no name; give CheckpointReader one, or load a checkpoint_id"
            )
        source = self._source()
        try:
            data = self._manifest(source)
        finally:
            source.close()
        if data is None:
            raise MissingSnapshotError(
                f"no checkpoint {self._name!r} in the content store at {self._location}; check "
                "the name against ContentStoreReader.snapshots"
            )
        self._stored = StoredCheckpoint(data, self._name)
        metadata = self._stored.metadata
        metadata.storage_meta = metadata.storage_meta or StorageMeta()
        metadata.storage_meta.load_id = self._load_id
        return metadata

    @override
    def set_up_storage_reader(
        self, metadata: Metadata, is_coordinator: bool, *args: Any, **kwargs: Any
    ) -> None:
        pass

    @override
    def prepare_local_plan(self, plan: LoadPlan) -> LoadPlan:
        return dataclasses.replace(
            plan, storage_data=None if self._stored is None else self._stored.version
        )

    @override
    def prepare_global_plan(self, plans: list[LoadPlan]) -> list[LoadPlan]:
        if len({plan.storage_data for plan in plans}) > 1:
            raise IncompleteCheckpointError(
                f"the checkpoint {self._name!r} was replaced while ranks began to read it, or they "
                "read from different stores; load it again"
            )
        return plans

    @override
    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future[None]:
        stored = self._stored
        if stored is None:
            raise RuntimeError("read_metadata comes before read_data")
        jobs = [self._job(stored, item, planner) for item in plan.items]
        source = self._source()
        try:
            for window in _windows(jobs):
                self._read(source, stored, window)
        finally:
            source.close()
        future: Future[None] = Future()
        future.set_result(None)
        return future

    @override
    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        return is_snapshot_name(os.fspath(checkpoint_id))

    def _source(self) -> StorageSource:
        return StorageSource(self._location, cache=False, verify=self._verify, mode=self._mode)

    def _job(self, stored: StoredCheckpoint, item: ReadItem, planner: LoadPlanner) -> "_Job":
        key = item.storage_index.fqn
        if item.type is LoadItemType.BYTE_IO:
            needed = stored.tensors_of(key)

            def load_value(tensors: dict[int, torch.Tensor]) -> None:
                stream = io.BytesIO()
                # Made here of plain values, so that the planner finds what it expects.
                torch.save(stored.value(key, tensors), stream)
                stream.seek(0)
                planner.load_bytes(item, stream)

            return _Job(needed, load_value)
        chunk = stored.chunks[item.storage_index]

        def load_chunk(tensors: dict[int, torch.Tensor]) -> None:
            part = tensors[chunk.number]
            for dimension, (offset, length) in enumerate(
                zip(item.storage_offsets, item.lengths, strict=True)
            ):
                part = part.narrow(dimension, offset, length)
            target = planner.resolve_tensor(item).detach()
            if target.shape != part.shape:
                raise ValueError(
                    f"{key!r} needs {tuple(part.shape)}, and the planner gave a tensor of "
                    f"{tuple(target.shape)}"
                )
            target.copy_(part)
            planner.commit_tensor(item, target)

        return _Job([chunk], load_chunk)

    def _read(self, source: StorageSource, stored: StoredCheckpoint, window: list["_Job"]) -> None:
        """Does some jobs, each storage of theirs read once."""
        needed = {tensor.number: tensor for job in window for tensor in job.needed}
        sizes_bytes = {tensor.digest: tensor.storage_size_bytes for tensor in needed.values()}
        digests = list(sizes_bytes)
        with store_errors(self._location):
            blobs = source.backend().locate_all_contents(digests)
        present = [blob for blob in blobs if blob is not None]
        if any(blob.size_bytes != sizes_bytes[blob.digest] for blob in present):
            raise CorruptMetadataError(
                f"the checkpoint {self._name!r} is damaged: a storage of it has another size in "
                "the store; save it again"
            )
        storages = None
        if len(present) == len(digests):
            mapped = source.mapped(None)
            wanted_by = f"the checkpoint {self._name!r}"
            asked = [Asked(blob, CPU, wanted_by) for blob in present]
            storages = source.all_fresh(asked, mapped=mapped)
        if storages is None:
            tensors = self._read_otherwise(source, stored)
        else:
            by_digest = dict(zip(digests, storages, strict=True))
            tensors = {
                number: rebuild_described(tensor.description, by_digest[tensor.digest])
                for number, tensor in needed.items()
            }
        for job in window:
            job.load(tensors)

    def _read_otherwise(
        self, source: StorageSource, stored: StoredCheckpoint
    ) -> dict[int, torch.Tensor]:
        """What `save_state_dict` kept in another way than as the bytes of storages."""
        data = self._manifest(source)
        if self._name is None or data is None or hash_whole(memoryview(data)) != stored.version:
            raise IncompleteCheckpointError(
                f"the checkpoint {self._name!r} in the content store at {self._location} was "
                "replaced or deleted while it was read; load it again"
            )
        return stored.numbered(load_snapshot(source, self._name, device=CPU, mode=None))

    def _manifest(self, source: StorageSource) -> bytes | None:
        with store_errors(self._location):
            return source.backend().get(snapshot_key(self._name or ""))


@dataclasses.dataclass(frozen=True)
class _Job:
    """One item of a plan."""

    needed: list[StoredTensor]
    load: Callable[[dict[int, torch.Tensor]], None]


def _windows(jobs: Iterable[_Job]) -> Iterator[list[_Job]]:
    """The jobs in runs that need at most `WINDOW_BYTES` of storages, but for the last of each."""
    window: list[_Job] = []
    size_bytes = 0
    for job in jobs:
        window.append(job)
        size_bytes += sum(tensor.storage_size_bytes for tensor in job.needed)
        if size_bytes >= WINDOW_BYTES:
            yield window
            window, size_bytes = [], 0
    if window:
        yield window
