"""Storages cut into pieces, so that they are hashed in bounded memory.

A cut lies on a power of two of chunks, where the tree has a complete subtree on its left:
what is left of a piece is one row, whoever computed it (section 2.1 of the BLAKE3 paper).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from torchstash.content_store.hashing.geometry import CHUNK_BYTES, Geometry

_ALIGNMENT_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes in the memory of a device."""

    address: int
    size_bytes: int

    @property
    def is_aligned(self) -> bool:
        """Whether lanes can load its whole chunks as they lie."""
        return self.address % _ALIGNMENT_BYTES == 0


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a storage whose subtree is reduced to one row.

    Attributes:
        content: Its bytes.
        first_chunk: How many chunks of the storage lie before it.
        is_whole: It is all of the storage, so that its row is the digest.
    """

    content: Content
    first_chunk: int
    is_whole: bool

    @property
    def chunks(self) -> int:
        """Chunks of the piece; one where it has no bytes."""
        return max(1, -(-self.content.size_bytes // CHUNK_BYTES))

    @property
    def loadable_chunks(self) -> int:
        """How many of them, from the first, can be loaded as they lie."""
        return self.content.size_bytes // CHUNK_BYTES if self.content.is_aligned else 0


def pieces(content: Content, geometry: Geometry) -> Iterator[Piece]:
    """The pieces of a storage, cut where subtrees are complete; one where it has no bytes."""
    chunks = geometry.piece_chunks
    if not content.is_aligned:
        chunks = min(chunks, geometry.padded_chunks)
    piece_bytes = chunks * CHUNK_BYTES
    is_whole = content.size_bytes <= piece_bytes
    for start in range(0, max(1, content.size_bytes), piece_bytes):
        part = Content(content.address + start, min(piece_bytes, content.size_bytes - start))
        yield Piece(part, start // CHUNK_BYTES, is_whole)


def windows(parts: Sequence[Piece], geometry: Geometry) -> Iterator[list[Piece]]:
    """The pieces in groups that are hashed at a time. There must be some."""
    window: list[Piece] = []
    rows = padded = 0
    for piece in parts:
        rows += piece.chunks
        padded += piece.chunks - piece.loadable_chunks
        if window and (rows > geometry.piece_chunks or padded > geometry.padded_chunks):
            yield window
            window = []
            rows, padded = piece.chunks, piece.chunks - piece.loadable_chunks
        window.append(piece)
    yield window
