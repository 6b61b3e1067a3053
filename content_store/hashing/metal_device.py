"""Hashes storages on Apple's GPUs with the Metal kernels of `blake3.metal`.

One launch for the chunks of each piece of a storage, one for each level of the tree, and one
crossing of 32 bytes a storage at the end; nothing waits for the device before that. Memory on
the device beside the storages: 64 MiB of chaining values.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Protocol, cast

import torch

from torchstash.content_store.hashing.geometry import CHUNK_BYTES, NO_BARRIERS, Geometry
from torchstash.content_store.hashing.pending import Pending, digests_of_rows
from torchstash.content_store.hashing.pieces import Content, Piece, pieces
from torchstash.content_store.hashing.plan import ROOT
from torchstash.content_store.memory import address_of


class Kernels(Protocol):
    """What `torch.mps.compile_shader` makes of `blake3.metal`."""

    def chunk_values(
        self,
        octets: torch.Tensor,
        rows: torch.Tensor,
        start: int,
        size_bytes: int,
        root: int,
        /,
        *,
        threads: int,
    ) -> None:
        """The chaining value of each chunk."""

    def parent_values(
        self, source: torch.Tensor, target: torch.Tensor, rows: int, root: int, /, *, threads: int
    ) -> None:
        """The next level of the tree."""


@cache
def compiled_kernels() -> Kernels:
    """The kernels, compiled once in a process. Raises where there is no Metal."""
    source = Path(__file__).with_name("blake3.metal").read_text()
    return cast("Kernels", torch.mps.compile_shader(source))


def begin(
    storages: Sequence[torch.UntypedStorage],
    device: torch.device,
    *,
    kernels: Kernels | None = None,
    geometry: Geometry = NO_BARRIERS,
) -> Pending:
    """Starts hashing storages that are all on `device`. There must be some."""
    launcher = _Launcher(kernels or compiled_kernels(), device, geometry)
    rows = torch.cat([launcher.digest_row(storage) for storage in storages])
    return lambda: digests_of_rows(rows)


class _Launcher:
    def __init__(self, kernels: Kernels, device: torch.device, geometry: Geometry) -> None:
        self._kernels = kernels
        self._device = device
        self._geometry = geometry

    def digest_row(self, storage: torch.UntypedStorage) -> torch.Tensor:
        """The digest of a storage as a row: int32 [1, 8]."""
        address_of(storage)  # Refuses a storage without bytes.
        octets = torch.empty(0, dtype=torch.uint8, device=self._device).set_(storage)
        if octets.numel() == 0:
            octets = octets.new_empty(4)  # A buffer of no bytes cannot be bound.
        parts = pieces(Content(0, storage.nbytes()), self._geometry)
        tops = [self._top(octets, piece) for piece in parts]
        return tops[0] if len(tops) == 1 else self._reduced(torch.cat(tops), is_whole=True)

    def _top(self, octets: torch.Tensor, piece: Piece) -> torch.Tensor:
        rows = self._empty(piece.chunks)
        self._kernels.chunk_values(
            octets,
            rows,
            piece.first_chunk * CHUNK_BYTES,
            piece.content.size_bytes,
            ROOT if piece.is_whole and piece.chunks == 1 else 0,
            threads=piece.chunks,
        )
        return self._reduced(rows, is_whole=piece.is_whole)

    def _reduced(self, rows: torch.Tensor, *, is_whole: bool) -> torch.Tensor:
        while len(rows) > 1:
            target = self._empty((len(rows) + 1) // 2)
            root = ROOT if is_whole and len(rows) == 2 else 0
            self._kernels.parent_values(rows, target, len(rows), root, threads=len(target))
            rows = target
        return rows

    def _empty(self, rows: int) -> torch.Tensor:
        return torch.empty(rows, 8, dtype=torch.int32, device=self._device)
