"""A delta that is read: its head checked, its frames applied. Nothing of it is believed."""

from typing import Final, Self

from google.protobuf.message import DecodeError

from torchstash.content_store.deltas.sparse_frame import (
    WORD_SIZES_BYTES,
    Octets,
    decode_frame,
)
from torchstash.proto.content_store.v1.storage_delta_pb2 import (
    STORAGE_DELTA_ENCODING_SPARSE_XOR,
    StorageDelta,
)

_MIN_SLICE_BYTES: Final = 4 << 10
_MAX_SLICE_BYTES: Final = 16 << 20
# A varint of 32 bits; no head is longer.
_MAX_LENGTH_BYTES: Final = 5


class BrokenDeltaError(Exception):
    """Says what is wrong with a delta, for the message of the public error."""


class Delta:
    """How a storage differs from another one; see `parse`. Thread-safe."""

    def __init__(self, head: StorageDelta, frames: list[memoryview]) -> None:
        self._size_bytes = head.size_bytes
        self._slice_bytes = head.slice_bytes
        self._word_bytes = head.word_bytes
        self._frames = frames

    @classmethod
    def parse(cls, contents: memoryview, size_bytes: int) -> Self:
        """The delta that `contents` are, for storages of `size_bytes`.

        Its frames are views of `contents`, which must stay.

        Raises:
            BrokenDeltaError: They are none.
        """
        head, at = _head(contents)
        if head.encoding != STORAGE_DELTA_ENCODING_SPARSE_XOR:
            raise BrokenDeltaError(f"this version knows no encoding {head.encoding} of deltas")
        if head.size_bytes != size_bytes:
            raise BrokenDeltaError(f"it is for {head.size_bytes} bytes, not {size_bytes}")
        slice_bytes = head.slice_bytes
        if not _MIN_SLICE_BYTES <= slice_bytes <= _MAX_SLICE_BYTES or slice_bytes.bit_count() != 1:
            raise BrokenDeltaError(f"its slices have {slice_bytes} bytes")
        if head.word_bytes not in WORD_SIZES_BYTES or size_bytes % head.word_bytes:
            raise BrokenDeltaError(f"its words have {head.word_bytes} bytes")
        sizes_bytes = list(head.frame_sizes_bytes)
        if len(sizes_bytes) != -(-size_bytes // slice_bytes):
            raise BrokenDeltaError(f"it has {len(sizes_bytes)} frames for {size_bytes} bytes")
        if at + sum(sizes_bytes) != len(contents):
            raise BrokenDeltaError(f"it has {len(contents)} bytes, not {at + sum(sizes_bytes)}")
        frames = []
        for length in sizes_bytes:
            frames.append(contents[at : at + length])
            at += length
        return cls(head, frames)

    def differs(self, start: int, stop: int) -> bool:
        """Whether anything between those bytes may differ."""
        first, last = start // self._slice_bytes, -(-stop // self._slice_bytes)
        return any(map(len, self._frames[first:last]))

    def apply(self, start: int, target: Octets) -> None:
        """Changes `target`, which lies `start` bytes into a storage, to what the other one has.

        Args:
            start: A multiple of 8.
            target: A multiple of 8 bytes, unless it ends where the storage does.

        Raises:
            BrokenDeltaError: A frame is damaged.
        """
        stop = start + len(target)
        for i in range(start // self._slice_bytes, -(-stop // self._slice_bytes)):
            if not self._frames[i]:
                continue
            begin = i * self._slice_bytes
            end = min(begin + self._slice_bytes, self._size_bytes)
            difference = decode_frame(self._frames[i], end - begin, self._word_bytes)
            if difference is None:
                raise BrokenDeltaError(f"its frame {i} is none of {end - begin} bytes")
            first, last = max(begin, start), min(end, stop)
            difference.apply(first - begin, target[first - start : last - start])


def _head(contents: memoryview) -> tuple[StorageDelta, int]:
    """The head of a delta, and where its frames begin."""
    length = 0
    for i, octet in enumerate(contents[:_MAX_LENGTH_BYTES]):
        length |= (octet & 0x7F) << 7 * i
        if octet < 0x80:
            begin = i + 1
            break
    else:
        raise BrokenDeltaError("it does not begin with the length of its head")
    end = begin + length
    if end > len(contents):
        raise BrokenDeltaError(f"its head would end {end - len(contents)} bytes behind it")
    try:
        return StorageDelta.FromString(bytes(contents[begin:end])), end
    except DecodeError as error:
        raise BrokenDeltaError("its head is no StorageDelta") from error
