"""What a device has to compute for a batch of storages, as tables of integers.

A batch becomes a few launches, however many storages it has, in this order:

    pieces   each storage in pieces of bounded size; windows of pieces, one after another
    padding  in a window: chunks that lanes cannot load as they lie, copied: the last one of
             a storage where it is short, all of them behind an odd address
    chunks   a lane for each chunk, which leaves a row
    stages   the rows of each piece reduced to one, some levels of the tree at a time
    joining  the pieces of each storage reduced to its digest, in the same way

A table has a row of int64 values for each run of chunks, or for each tree, and is stored
column by column, so that a lane finds its row by a binary search in the first column. The
number of rows is a power of two; the rows added for that begin beyond every lane.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from torchstash.content_store.hashing.geometry import CHUNK_BYTES, Geometry
from torchstash.content_store.hashing.pieces import Content, Piece, pieces, windows

ROOT: Final = 8
"""The flag of section 2.3 of the BLAKE3 paper, for the last compression of a storage."""

_BEYOND: Final = (1 << 62) - 1


@dataclass(frozen=True, slots=True)
class Table:
    """Rows for a kernel to search: `columns`, each of `1 << steps` values."""

    columns: tuple[tuple[int, ...], ...]
    steps: int

    @classmethod
    def of(cls, rows: Sequence[tuple[int, ...]]) -> "Table":
        """The table of these rows, the first value of which rises from 0."""
        steps = max(1, (len(rows) - 1).bit_length())
        padding = (_BEYOND, *[0] * (len(rows[0]) - 1))
        return cls(tuple(zip(*rows, *[padding] * ((1 << steps) - len(rows)), strict=True)), steps)


@dataclass(frozen=True, slots=True)
class Launch:
    """One launch: a table, and how many items (programs or lanes) its rows have together."""

    table: Table
    items: int


@dataclass(frozen=True, slots=True)
class Stage:
    """A launch that reduces every tree by some levels, and how many rows it leaves."""

    launch: Launch
    target_rows: int


@dataclass(frozen=True, slots=True)
class Window:
    """Pieces that are hashed at a time, in `rows` rows.

    The columns of the tables, in this order, are the arguments of the kernels.
    """

    padding: Launch | None
    chunks: Launch
    rows: int
    stages: tuple[Stage, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Windows that leave a row for each piece, and stages that leave one for each storage."""

    windows: tuple[Window, ...]
    joining: tuple[Stage, ...]


def plan(contents: Sequence[Content], geometry: Geometry) -> Plan:
    """The work for `contents`, one digest each, in their order. There must be some."""
    pieces_of = [list(pieces(content, geometry)) for content in contents]
    groups = windows(list(chain.from_iterable(pieces_of)), geometry)
    return Plan(
        tuple(_window(group, geometry) for group in groups),
        _stages([(len(parts), True) for parts in pieces_of], geometry),
    )


def _window(parts: Sequence[Piece], geometry: Geometry) -> Window:
    runs: list[tuple[int, ...]] = []
    padded_runs: list[tuple[int, ...]] = []
    row = padded = 0
    for piece in parts:
        address, size_bytes = piece.content.address, piece.content.size_bytes
        first_chunk, loadable = piece.first_chunk, piece.loadable_chunks
        root = ROOT if piece.is_whole and piece.chunks == 1 else 0
        if loadable:
            runs.append((row, address, loadable * CHUNK_BYTES, first_chunk, root, 0))
        if loadable < piece.chunks:
            start = loadable * CHUNK_BYTES
            left, offset = size_bytes - start, padded * CHUNK_BYTES
            padded_runs.append((padded, address + start, left))
            runs.append((row + loadable, offset, left, first_chunk + loadable, root, 1))
            padded += piece.chunks - loadable
        row += piece.chunks
    return Window(
        padding=Launch(Table.of(padded_runs), padded) if padded_runs else None,
        chunks=Launch(Table.of(runs), row),
        rows=row,
        stages=_stages([(piece.chunks, piece.is_whole) for piece in parts], geometry),
    )


def _stages(trees: Sequence[tuple[int, bool]], geometry: Geometry) -> tuple[Stage, ...]:
    """Stages that reduce each tree, given as its rows and whether a root ends it, to one row."""
    stages = []
    while any(rows > 1 for rows, _ in trees):
        table = []
        left = []
        program = source_row = target_row = 0
        for rows, is_root in trees:
            table.append((program, source_row, rows, target_row, ROOT if is_root else 0))
            left.append((-(-rows // (1 << geometry.levels)), is_root))
            program += -(-rows // geometry.span_rows)
            source_row += rows
            target_row += left[-1][0]
        stages.append(Stage(Launch(Table.of(table), program), target_row))
        trees = left
    return tuple(stages)
