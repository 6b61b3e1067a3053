"""Makes storages from chains of deltas.

What a chain begins with is copied, slice by slice, over a few threads, into memory of the storage's
own, and changed there. Where little differs a mapping is changed in place instead: it is
copy-on-write, so the other pages stay the file's; were most of them changed, each would cost two
faults. Then the digest of the whole is compared. Only where it is wrong is each
part hashed by itself: to tell which is damaged, and to let the next save of it write it again.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from torchstash.cache.blake3_hasher import THREADS_FROM_BYTES, hash_whole
from torchstash.cache.disk import Blob
from torchstash.content_store.deltas.delta import BrokenDeltaError, Delta
from torchstash.content_store.deltas.stored_storage import StoredStorage
from torchstash.content_store.devices import CPU, moved
from torchstash.content_store.errors import CorruptStorageError
from torchstash.content_store.memory import empty_storage, readable, writable
from torchstash.content_store.storage_source import StorageSource

_SLICE_BYTES: Final = 1 << 20
# Below, a thread costs more than it brings.
_THREADS_FROM_BYTES: Final = 256 << 10
_THREADS: Final = min(8, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A storage that is to be made.

    Attributes:
        storage: What it is, with its chain.
        device: Where it shall be.
        wanted_by: For messages: whose it is.
    """

    storage: StoredStorage
    device: torch.device
    wanted_by: str


def load_chains(
    source: StorageSource,
    wanted: Sequence[Wanted],
    blobs: Mapping[bytes, Blob],
    *,
    mapped: bool,
) -> list[torch.UntypedStorage] | None:
    """A fresh storage for each, on its device; None where a part is gone: look it up again.

    Args:
        source: The store.
        wanted: What to make.
        blobs: By digest, where the store has what their chains need.
        mapped: Map files instead of reading them.

    Raises:
        CorruptStorageError: A part is damaged, or they give other bytes.
    """
    makings = []
    for one in wanted:
        making = _Making.begin(source, one, blobs, mapped=mapped)
        if making is None:
            return None
        makings.append(making)
    side_by_side = [m for m in makings if m.wanted.storage.size_bytes >= _THREADS_FROM_BYTES]
    for making in makings:
        if making.wanted.storage.size_bytes < _THREADS_FROM_BYTES:
            for start in making.starts():
                making.apply(start)
    right: dict[_Making, bool] = {}
    if side_by_side:
        works = [(making, start) for making in side_by_side for start in making.starts()]
        with ThreadPoolExecutor(_THREADS, "torchstash-delta") as executor:
            for _ in executor.map(lambda work: work[0].apply(work[1]), works):
                pass
            # The hash of a large one has threads of its own.
            hashed = [m for m in side_by_side if m.wanted.storage.size_bytes < THREADS_FROM_BYTES]
            right.update(zip(hashed, executor.map(_Making.is_right, hashed), strict=True))
    for making in makings:
        is_right = right[making] if making in right else making.is_right()
        if not is_right and not making.blame():
            return None
    return [moved(making.result, making.wanted.device) for making in makings]


class _Making:
    """A storage while it is made; see `begin`.

    Attributes:
        wanted: What it is to be.
        result: What it is so far.
    """

    def __init__(
        self,
        source: StorageSource,
        wanted: Wanted,
        parts: Sequence[Blob],
        root: torch.UntypedStorage,
        encoded: Sequence[torch.UntypedStorage],
        *,
        mapped: bool,
    ) -> None:
        self.wanted = wanted
        self._source = source
        self._parts = parts
        self._root = root
        self._encoded = encoded
        self._deltas: list[Delta] = []
        self._problem: BrokenDeltaError | None = None
        try:
            for contents in encoded:
                self._deltas.append(Delta.parse(readable(contents), wanted.storage.size_bytes))
        except BrokenDeltaError as error:
            self._problem = error
        self._is_copied = mapped and self._is_mostly_changed()
        self.result = empty_storage(root.nbytes(), CPU) if self._is_copied else root
        self._before = np.frombuffer(readable(root), np.uint8)
        self._octets = np.frombuffer(writable(self.result), np.uint8)

    def _is_mostly_changed(self) -> bool:
        starts = range(0, self.wanted.storage.size_bytes, _SLICE_BYTES)
        changed = sum(
            any(delta.differs(start, start + _SLICE_BYTES) for delta in self._deltas)
            for start in starts
        )
        return changed > len(starts) // 4

    @classmethod
    def begin(
        cls,
        source: StorageSource,
        wanted: Wanted,
        blobs: Mapping[bytes, Blob],
        *,
        mapped: bool,
    ) -> "_Making | None":
        """Loads the parts, unchecked. None: one is gone."""
        parts = []
        for digest, size_bytes in wanted.storage.parts():
            blob = blobs.get(digest.raw)
            if blob is None:
                return None
            if blob.size_bytes != size_bytes:
                raise _damaged(
                    wanted,
                    f"its part {digest.hex} has {blob.size_bytes} bytes, not {size_bytes}",
                )
            parts.append(blob)
        loaded = []
        for blob in parts:
            storage = source.unchecked(blob, wanted.wanted_by, mapped=mapped)
            if storage is None:
                return None
            loaded.append(storage)
        is_mapped = mapped and parts[0].file is not None
        return cls(source, wanted, parts, loaded[0], loaded[1:], mapped=is_mapped)

    def starts(self) -> Iterator[int]:
        """Where each slice begins; none where a delta cannot be read."""
        if self._problem is None:
            yield from range(0, self.wanted.storage.size_bytes, _SLICE_BYTES)

    def apply(self, start: int) -> None:
        """Makes one slice."""
        target = self._octets[start : start + _SLICE_BYTES]
        if self._is_copied:
            np.copyto(target, self._before[start : start + _SLICE_BYTES])
        try:
            for delta in self._deltas:
                delta.apply(start, target)
        except BrokenDeltaError as error:
            self._problem = error

    def is_right(self) -> bool:
        """Whether the result has the digest that it should have."""
        return (
            self._problem is None
            and hash_whole(readable(self.result)) == self.wanted.storage.digest.raw
        )

    def blame(self) -> bool:
        """Tells what is damaged of a wrong result. False: a part is gone.

        Raises:
            CorruptStorageError: Unless that.
        """
        for blob in self._parts:
            if not self._source.verify(blob, self.wanted.wanted_by):
                return False
        problem = self._problem or "they give other bytes"
        raise _damaged(self.wanted, f"its parts are what was put, but {problem}")


def _damaged(wanted: Wanted, problem: str) -> CorruptStorageError:
    return CorruptStorageError(
        f"the storage {wanted.storage.digest.hex} of {wanted.wanted_by} is damaged: {problem}; "
        "save it again"
    )
