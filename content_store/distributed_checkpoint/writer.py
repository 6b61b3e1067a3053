"""The writer that `torch.distributed.checkpoint.save` and `async_save` take.

Each rank writes its own part, in a commit of its own, and the coordinator, when all have reported,
the checkpoint, in one more: until then a reader sees the old checkpoint of that name, or none.
"""

import os
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from torch.distributed.checkpoint import SavePlan, SavePlanner, StorageWriter
from torch.distributed.checkpoint.metadata import Metadata, StorageMeta
from torch.distributed.checkpoint.storage import WriteResult
from torch.futures import Future
from typing_extensions import override

from torchstash.cache.digest import Digest
from torchstash.cache.disk import DiskBackend, Put
from torchstash.cache.errors import CacheError
from torchstash.content_store import pending
from torchstash.content_store.distributed_checkpoint.part import PartItem, parts_of, write_part
from torchstash.content_store.distributed_checkpoint.whole_manifest import whole_manifest
from torchstash.content_store.engine_errors import store_errors
from torchstash.content_store.errors import IncompleteCheckpointError, InvalidNameError
from torchstash.content_store.names import is_snapshot_name, snapshot_key
from torchstash.proto.content_store.v1.snapshot_manifest_pb2 import SnapshotManifest

_DAY_SECONDS = 86400.0


class CheckpointWriter(StorageWriter):
    """Keeps each checkpoint as a snapshot of the store at `loc`, which all ranks share.

    Shards that the store has already, from an earlier checkpoint or another rank, are hashed and
    not written. A checkpoint is replaced as a whole. It is listed and deleted like any snapshot,
    `ContentStoreReader.load_state_dict` gives it unsharded, and no pickle is in it.

    Errors arrive inside the `CheckpointException` of `torch.distributed.checkpoint`, by rank:
    `UnsupportedValueError` and `UnsupportedTensorError` name what cannot be kept,
    `StoreUnavailableError` says what the store lacks. The store is as it was then, but for what
    other ranks wrote, which the store forgets later.

    Args:
        loc: The folder of the store, the same one for all ranks.
        name: That of the checkpoint: any UTF-8 string up to 1 KiB, a key and never a path. None:
            `checkpoint_id` of each call says it.
        abandoned_after_seconds: What a rank wrote longer ago, and no checkpoint leads to, is
            forgotten when one is finished; what one of this machine wrote, that has ended since, at
            once. Longer than any save takes.
    """

    def __init__(
        self,
        loc: str | os.PathLike[str],
        name: str | None = None,
        *,
        abandoned_after_seconds: float = _DAY_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._location = Path(loc).absolute()
        self._name = name
        self._abandoned_after_seconds = abandoned_after_seconds
        self._clock = clock
        self._save_id = uuid.uuid4().hex
        # What this rank wrote, until it is part of a checkpoint.
        self._pending: list[str] = []
        if name is not None:
            snapshot_key(name)

    @property
    def checkpoint_id(self) -> str | None:
        """The name of the checkpoint that is written; `torch.distributed.checkpoint` logs it."""
        return self._name

    @override
    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        if checkpoint_id is not None:
            self._name = os.fspath(checkpoint_id)
        self._save_id = uuid.uuid4().hex

    @override
    def set_up_storage_writer(self, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        if not kwargs.get("use_collectives", True):
            raise NotImplementedError(
                "a checkpoint is one snapshot that the coordinator commits; "
                "save it with use_collectives=True"
            )
        self._key()

    @override
    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        return plan

    @override
    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        return plans

    @override
    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        results: list[WriteResult] = []
        with store_errors(self._location), DiskBackend(self._location, durable=True) as backend:
            # Left over from a save that did not come to its end.
            pending.forget(backend, self._pending)
            self._pending = []
            try:
                for part in parts_of(plan.items, planner):
                    key = pending.new_pending_key(self._clock())
                    write_part(backend, key, part)
                    self._pending.append(key)
                    for position, (item, _) in enumerate(part):
                        size_bytes = item.tensor_storage_size() or 0
                        results.append(WriteResult(item.index, size_bytes, PartItem(key, position)))
            except Exception:
                with suppress(CacheError):
                    pending.forget(backend, self._pending)
                raise
        future: Future[list[WriteResult]] = Future()
        future.set_result(results)
        return future

    @override
    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        items = {result.index: result.storage_data for ranks in results for result in ranks}
        keys = dict.fromkeys(item.key for item in items.values())
        meta = self.storage_meta()
        with store_errors(self._location), DiskBackend(self._location, durable=True) as backend:
            try:
                parts = {key: self._part(backend, key) for key in keys}
                facts = {"save_id": meta.save_id, "modules": list(meta.modules)}
                manifest = whole_manifest(metadata, items, parts, facts)
                links = [Digest(raw) for raw in dict.fromkeys(s.digest for s in manifest.storages)]
                data = manifest.SerializeToString(deterministic=True)
                backend.commit([Put(self._key(), data, links=links)])
            finally:
                # The checkpoint is there, and leads to what the parts did; or there is none. What
                # cannot be forgotten now is forgotten with the next one.
                with suppress(CacheError):
                    pending.forget(backend, keys)
            with suppress(CacheError):
                oldest = self._clock() - self._abandoned_after_seconds
                pending.forget(backend, pending.abandoned(backend, oldest))
        metadata.storage_data = items
        metadata.storage_meta = meta

    @override
    def storage_meta(self) -> StorageMeta:
        return StorageMeta(checkpoint_id=self._name, save_id=self._save_id)

    @override
    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        return is_snapshot_name(os.fspath(checkpoint_id))

    def _key(self) -> str:
        if self._name is None:
            raise InvalidNameError(
                "the checkpoint has no name; give CheckpointWriter one, or save a checkpoint_id"
            )
        return snapshot_key(self._name)

    def _part(self, backend: DiskBackend, key: str) -> SnapshotManifest:
        data = backend.get(key)
        try:
            manifest = None if data is None else SnapshotManifest.FromString(data)
        except DecodeError:
            manifest = None
        if manifest is None:
            raise IncompleteCheckpointError(
                f"what a rank wrote of the checkpoint {self._name!r} is not in the store at "
                f"{self._location} (any more); all ranks write to one folder, and within "
                f"{self._abandoned_after_seconds:.0f} seconds"
            )
        return manifest
