"""How the work on a storage is cut up for a device with many lanes.

BLAKE3's tree is the same however it is cut, as long as cuts fall on powers of two: a
complete subtree has one chaining value whoever computes it (section 2.1 of the BLAKE3
paper), so a large storage is hashed piece after piece in bounded memory.
"""

from dataclasses import dataclass
from typing import Final

CHUNK_BYTES: Final = 1024


@dataclass(frozen=True, slots=True)
class Geometry:
    """Sizes of the cuts. Chaining values lie in rows of 32 bytes.

    Attributes:
        lanes: Chunks, or parents, that one program computes side by side.
        span_rows: Rows that one program of the tree reduces.
        levels: How many levels of the tree it reduces them by.
        piece_chunks: Chunks whose rows are kept at a time, a power of two.
        padded_chunks: Chunks that are copied at a time where lanes cannot load them as they
            lie, a power of two.
    """

    lanes: int = 128
    span_rows: int = 1024
    levels: int = 10
    piece_chunks: int = 1 << 20
    padded_chunks: int = 1 << 16


BARRIERS: Final = Geometry()
"""Where the lanes of a program can wait for each other's writes: few launches."""

NO_BARRIERS: Final = Geometry(span_rows=256, levels=1)
"""A launch for each level of the tree, in which no lane reads what another writes."""
