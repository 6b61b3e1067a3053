"""A delta that is made: slice by slice, over a few threads, in bounded memory.

`WINDOW_BYTES` is what all of it holds on the host: slices in flight, each as itself, as its
difference and as its frame; what lies on another device, by the slice that is fetched; and frames,
of which many go to a file without a name in the store's folder, for their digest is known only
after the last one.
"""

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Executor, Future, wait
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import numpy as np
import torch

from torchstash.cache.blake3_hasher import hasher
from torchstash.cache.digest import Digest
from torchstash.cache.disk import Put, Slices
from torchstash.cache.errors import CacheError
from torchstash.content_store.contents import SLICE_BYTES as FETCHED_BYTES
from torchstash.content_store.contents import slices_of
from torchstash.content_store.deltas.base_contents import BaseContents
from torchstash.content_store.deltas.frame_spool import IN_MEMORY_BYTES, FrameSpool
from torchstash.content_store.deltas.sparse_frame import Octets, encode_frame
from torchstash.content_store.errors import StoreUnavailableError
from torchstash.content_store.memory import readable
from torchstash.proto.content_store.v1.storage_delta_pb2 import (
    STORAGE_DELTA_ENCODING_SPARSE_XOR,
    StorageDelta,
)

# Of 256 KiB, 1 MiB and 4 MiB as small as the best and as fast as the fastest (measured): it fits
# the caches of a core, and what a frame costs by itself is lost in it.
SLICE_BYTES: Final = 1 << 20
_IN_FLIGHT: Final = 16
WINDOW_BYTES: Final = 3 * _IN_FLIGHT * SLICE_BYTES + FETCHED_BYTES + IN_MEMORY_BYTES


class SpentDeltaError(CacheError):
    """A delta is asked for again after it was released: make it anew."""


class EncodedDelta:
    """How a storage differs from a base; see `encode`.

    Attributes:
        digest: Of the delta.
        size_bytes: Of the delta.
        is_empty: There is no difference.
    """

    def __init__(self, head: StorageDelta, frames: FrameSpool) -> None:
        encoded = head.SerializeToString(deterministic=True)
        self._head = _varint(len(encoded)) + encoded
        self._frames: FrameSpool | None = frames
        self.is_empty = frames.size_bytes == 0
        self.size_bytes = len(self._head) + frames.size_bytes
        digest = hasher(self.size_bytes)
        for part in self._parts():
            digest.update(part)
        self.digest = Digest(digest.digest())

    def put(self) -> Put:
        """What keeps it; only links of a later put lead there."""
        return Put(None, Slices(self.size_bytes, self._parts), self.digest)

    def release(self) -> None:
        """Gives its memory back. Whoever reads the put again gets a `SpentDeltaError`."""
        if self._frames is not None:
            self._frames.close()
            self._frames = None

    def _parts(self) -> Iterator[bytes]:
        if self._frames is None:
            raise SpentDeltaError("a delta that was in the store was removed meanwhile")
        yield self._head
        yield from self._frames.parts()


def encode(
    storage: torch.UntypedStorage,
    base: BaseContents,
    word_bytes: int,
    *,
    folder: Path,
    executor: Executor | None,
) -> EncodedDelta | None:
    """The delta that leads from `base` to `storage`; None: it would be more than half of it.

    Args:
        storage: On any device; read in slices.
        base: What it is compared with, of as many bytes.
        word_bytes: Of the elements that change as wholes; see `StorageDelta`.
        folder: Where frames are spooled to.
        executor: Whose threads encode the slices; None: this one does.

    Raises:
        BrokenDeltaError: A delta of the base is damaged.
        StoreUnavailableError: `folder` cannot be written to.
    """
    size_bytes = storage.nbytes()
    head = StorageDelta(
        encoding=STORAGE_DELTA_ENCODING_SPARSE_XOR,
        size_bytes=size_bytes,
        slice_bytes=SLICE_BYTES,
        word_bytes=word_bytes,
    )
    with ExitStack() as stack:
        try:
            spool = FrameSpool(folder)
            stack.callback(spool.close)
            frames = _frames(storage, base, word_bytes, executor)
            stack.callback(frames.close)
            for frame in frames:
                head.frame_sizes_bytes.append(len(frame))
                spool.add(frame)
                if 2 * spool.size_bytes > size_bytes:
                    return None
            delta = EncodedDelta(head, spool)
        except OSError as error:
            raise StoreUnavailableError(f"a delta cannot be kept in {folder}: {error}") from error
        if not delta.is_empty and 2 * delta.size_bytes > size_bytes:
            return None
        stack.pop_all()
        return delta


def _frames(
    storage: torch.UntypedStorage, base: BaseContents, word_bytes: int, executor: Executor | None
) -> Generator[bytes]:
    """The frame of each slice, in order."""
    start = 0
    for window in windows_of(storage):
        octets = np.frombuffer(window, np.uint8)
        slices = [
            (start + i, octets[i : i + SLICE_BYTES]) for i in range(0, len(octets), SLICE_BYTES)
        ]
        if executor is None:
            for at, each in slices:
                yield frame_of(base, word_bytes, at, each)
        else:
            yield from _encoded_ahead(base, word_bytes, slices, executor)
        start += len(octets)


def _encoded_ahead(
    base: BaseContents, word_bytes: int, slices: list[tuple[int, Octets]], executor: Executor
) -> Generator[bytes]:
    running: deque[Future[bytes]] = deque()
    try:
        for at, each in slices:
            if len(running) == _IN_FLIGHT:
                yield running.popleft().result()
            running.append(executor.submit(frame_of, base, word_bytes, at, each))
        while running:
            yield running.popleft().result()
    finally:
        # Nobody reads the slices when their window is gone.
        for future in running:
            future.cancel()
        wait(running)


def frame_of(base: BaseContents, word_bytes: int, start: int, octets: Octets) -> bytes:
    """The frame for a slice that lies `start` bytes into its storage; empty: no difference."""
    return encode_frame(base.difference(start, octets), word_bytes)


def windows_of(storage: torch.UntypedStorage) -> Iterator[memoryview]:
    """A storage in pieces of whole slices: all of it where it lies on the CPU."""
    if storage.device.type == "cpu":
        return iter((readable(storage),))
    return slices_of(storage)


def _varint(number: int) -> bytes:
    octets = bytearray()
    while number >= 0x80:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    octets.append(number)
    return bytes(octets)
