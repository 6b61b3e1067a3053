"""Keeps storages as deltas where that is at most half of their bytes.

In this order:

1. Find what each storage was in the base, and try some blocks of it: what has changed all over goes
   the usual way, at the usual speed.
2. Hash the others. What the store has in full is left there, whoever wrote it.
3. Encode the rest, and verify what it was encoded against. What makes no difference is what the
   base has; what makes a small one is one step more; a chain that is long already begins anew at
   its root. Where the base is damaged or gone, or the delta too large, the storage is kept in full.

Large storages are encoded one after the other by all threads, small ones side by side.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Final, NamedTuple

import torch

from torchstash.cache.digest import Digest
from torchstash.cache.disk import Batch, Blob, DiskBackend, Put
from torchstash.content_store.contents import contents_of
from torchstash.content_store.deltas.base_contents import BaseContents, DamagedBaseError
from torchstash.content_store.deltas.base_snapshot import BaseSnapshot
from torchstash.content_store.deltas.chain import MAX_STEPS_WRITTEN, DeltaChain, DeltaStep
from torchstash.content_store.deltas.delta import BrokenDeltaError
from torchstash.content_store.deltas.encoded_delta import EncodedDelta, encode
from torchstash.content_store.deltas.sampling import SAMPLED_FROM_BYTES, is_promising
from torchstash.content_store.deltas.stored_storage import StoredStorage
from torchstash.content_store.hashing import digest_storages
from torchstash.content_store.storage_keeper import keep_storages
from torchstash.proto.content_store.v1.snapshot_manifest_pb2 import SnapshotManifest

# A delta takes half a millisecond whatever its size: for a smaller storage ten times as long as
# keeping it in full, to save little.
_MIN_BYTES: Final = 16 << 10
# Below, a thread costs more than it brings; from the second one on, its slices have one each.
_THREADS_FROM_BYTES: Final = 256 << 10
_SLICED_FROM_BYTES: Final = 4 << 20
# The engine writes a larger one when it is added, and a smaller one at the end of the batch.
_WRITTEN_AT_ONCE_BYTES: Final = 64 << 10
_THREADS: Final = min(8, os.cpu_count() or 1)

_Blobs = Mapping[Digest, Blob | None]


class _Task(NamedTuple):
    """A storage that is worth a delta."""

    storage: torch.UntypedStorage
    digest: Digest
    match: StoredStorage
    word_bytes: int


class DeltaKeeper:
    """Keeps the storages of one snapshot.

    Args:
        backend: Where the base is.
        batch: Takes the contents.
        base: What is saved against.
    """

    def __init__(self, backend: DiskBackend, batch: Batch, base: BaseSnapshot) -> None:
        self._backend = backend
        self._batch = batch
        self._base = base

    def keep(
        self,
        storages: Sequence[torch.UntypedStorage],
        words_bytes: Sequence[int],
        manifest: SnapshotManifest,
    ) -> list[StoredStorage]:
        """Adds the contents of each to the batch; how they are kept, in order.

        The storages must stay alive and unchanged until the batch has ended.

        Args:
            storages: On any device.
            words_bytes: Of the elements of each, 1, 2, 4 or 8: what changes, changes as a whole.
            manifest: Of the snapshot that they are of, with its tree and its tensors.

        Raises:
            UnsupportedStorageError: One of them has no bytes.
            StoreUnavailableError: A delta could not be kept meanwhile.
            CacheError: One of them could not be written.
        """
        sizes_bytes = [storage.nbytes() for storage in storages]
        words_bytes = [
            word if size % word == 0 else 1
            for word, size in zip(words_bytes, sizes_bytes, strict=True)
        ]
        with ThreadPoolExecutor(_THREADS, "torchstash-delta") as executor:
            try:
                matches = self._promising(storages, words_bytes, manifest, executor)
                others = [i for i in range(len(storages)) if i not in matches]
                digests = dict(
                    zip(
                        others,
                        keep_storages(self._batch, [storages[i] for i in others]),
                        strict=True,
                    )
                )
                kept = {d: StoredStorage(d, sizes_bytes[i]) for i, d in digests.items()}
                found = digest_storages(storages[i] for i in matches)
                digests.update(zip(matches, found, strict=True))
                tasks = {
                    digests[i]: _Task(storages[i], digests[i], match, words_bytes[i])
                    for i, match in matches.items()
                    if digests[i] not in kept
                }
                self._keep_all(list(tasks.values()), kept, executor)
            except BaseException:
                executor.shutdown(cancel_futures=True)
                raise
        return [kept[digests[i]] for i in range(len(storages))]

    def _promising(
        self,
        storages: Sequence[torch.UntypedStorage],
        words_bytes: Sequence[int],
        manifest: SnapshotManifest,
        executor: Executor,
    ) -> dict[int, StoredStorage]:
        """What of the base those storages are compared with that probably have small deltas."""
        sizes_bytes = [storage.nbytes() for storage in storages]
        matches = {
            i: match
            for i, match in enumerate(self._base.counterparts(manifest, sizes_bytes))
            if match is not None and sizes_bytes[i] >= _MIN_BYTES
        }
        blobs = self._located(matches.values())

        def promises(i: int) -> bool:
            try:
                base = BaseContents.open(matches[i], blobs)
                return base is not None and is_promising(storages[i], base, words_bytes[i])
            except (DamagedBaseError, BrokenDeltaError):
                # Whether these contents are the base's, which a save repairs, is seen later.
                return True

        sampled = [i for i in matches if sizes_bytes[i] >= SAMPLED_FROM_BYTES]
        for i, good in zip(sampled, list(executor.map(promises, sampled)), strict=True):
            if not good:
                del matches[i]
        return matches

    def _keep_all(
        self, tasks: Sequence[_Task], kept: dict[Digest, StoredStorage], executor: Executor
    ) -> None:
        """Adds how the storage of each task is kept."""
        tasks = [task._replace(match=self._same(task) or task.match) for task in tasks]
        full = dict(
            zip(
                (task.digest for task in tasks),
                self._backend.locate_all_contents(task.digest for task in tasks),
                strict=True,
            )
        )
        blobs = self._located([task.match for task in tasks])

        def keep(task: _Task, executor: Executor | None = None) -> None:
            blob = full[task.digest]
            as_delta = None if blob is not None else self._as_delta(task, blobs, executor)
            kept[task.digest] = as_delta or self._in_full(task)

        side_by_side = []
        for task in sorted(tasks, key=lambda task: -task.storage.nbytes()):
            size_bytes = task.storage.nbytes()
            if size_bytes >= _SLICED_FROM_BYTES:
                keep(task, executor)
            elif size_bytes >= _THREADS_FROM_BYTES:
                side_by_side.append(task)
            else:
                keep(task)
        for _ in executor.map(keep, side_by_side):
            pass

    def _same(self, task: _Task) -> StoredStorage | None:
        return self._base.same(task.digest, task.storage.nbytes())

    def _in_full(self, task: _Task) -> StoredStorage:
        self._batch.add(Put(None, contents_of(task.storage), task.digest))
        return StoredStorage(task.digest, task.storage.nbytes())

    def _as_delta(
        self, task: _Task, blobs: _Blobs, executor: Executor | None
    ) -> StoredStorage | None:
        """How a storage is kept as a delta; None where it is better kept in full."""
        try:
            base = BaseContents.open(task.match, blobs)
            if base is None:
                return None
            if len(base.steps) >= MAX_STEPS_WRITTEN and task.match.digest != task.digest:
                base = base.without_deltas()
            delta = encode(
                task.storage,
                base,
                task.word_bytes,
                folder=self._backend.path / "tmp",
                executor=executor,
            )
            if delta is None:
                return None
            if delta.is_empty:
                delta.release()
                is_same = base.steps and base.storage.digest == task.digest
                return base.storage if is_same else None
            base.verify()
        except DamagedBaseError as error:
            self._mark(error.blob)
            return None
        except BrokenDeltaError:
            return None
        return self._kept(task, base, delta)

    def _kept(self, task: _Task, base: BaseContents, delta: EncodedDelta) -> StoredStorage:
        self._batch.add(delta.put())
        if delta.size_bytes > _WRITTEN_AT_ONCE_BYTES:
            delta.release()
        step = DeltaStep(delta.digest, delta.size_bytes)
        chain = DeltaChain(base.root, (*base.steps, step))
        return StoredStorage(task.digest, task.storage.nbytes(), chain)

    def _located(self, storages: Iterable[StoredStorage]) -> _Blobs:
        digests = dict.fromkeys(digest for storage in storages for digest in storage.digests())
        return dict(zip(digests, self._backend.locate_all_contents(digests), strict=True))

    def _mark(self, blob: Blob) -> None:
        """Lets the next writer of damaged contents write them again, unless they are others now."""
        now = self._backend.locate_contents(blob.digest)
        if now is not None and (now.extent, now.file) == (blob.extent, blob.file):
            self._backend.mark_damaged(blob.digest)
