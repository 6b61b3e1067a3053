"""Hashes storages on a CUDA or XPU device with the Triton kernels.

All storages of a batch share their launches. What crosses the bus is a table of their
addresses on the way there and 32 bytes for each on the way back, once, and nothing waits
for the device before that. Memory on the device beside the storages: 32 MiB of chaining
values, and at most 64 MiB of padding.

Everything runs on the current stream of the storages' device, which need not be the
current device.
"""

from collections.abc import Iterator, Sequence
from itertools import chain

import torch

from torchstash.content_store.hashing.geometry import CHUNK_BYTES, Geometry
from torchstash.content_store.hashing.pending import Pending, digests_of_rows
from torchstash.content_store.hashing.pieces import Content
from torchstash.content_store.hashing.plan import Launch, Plan, Stage, Window, plan
from torchstash.content_store.hashing.triton_kernels import (
    chunk_values,
    padded_chunks,
    parent_values,
)
from torchstash.content_store.memory import address_of


def begin(
    storages: Sequence[torch.UntypedStorage], device: torch.device, geometry: Geometry
) -> Pending:
    """Starts hashing storages that are all on `device`. There must be some."""
    contents = [Content(address_of(storage), storage.nbytes()) for storage in storages]
    rows = _Execution(plan(contents, geometry), device, geometry).rows()
    return lambda: digests_of_rows(rows)


class _Execution:
    """The launches of a plan, in order, on the current stream of the current device."""

    def __init__(self, work: Plan, device: torch.device, geometry: Geometry) -> None:
        self._plan = work
        self._device = device
        self._geometry = geometry
        self._tables = self._uploaded(_launches(work))

    def rows(self) -> torch.Tensor:
        """The digests as rows: int32 [storages, 8]."""
        tops = [self._window(window) for window in self._plan.windows]
        return self._reduced(torch.cat(tops) if len(tops) > 1 else tops[0], self._plan.joining)

    def _window(self, window: Window) -> torch.Tensor:
        rows = padding = self._empty(window.rows, 8)
        if window.padding is not None:
            padding = self._empty(window.padding.items, CHUNK_BYTES // 4)
            table, steps = self._next_table()
            padded_chunks[window.padding.items,](table, steps, padding)
        lanes = self._geometry.lanes
        table, steps = self._next_table()
        chunk_values[-(-window.chunks.items // lanes),](
            table, steps, window.chunks.items, padding, rows, LANES=lanes
        )
        return self._reduced(rows, window.stages)

    def _reduced(self, rows: torch.Tensor, stages: Sequence[Stage]) -> torch.Tensor:
        for stage in stages:
            target = self._empty(stage.target_rows, 8)
            table, steps = self._next_table()
            parent_values[stage.launch.items,](
                table,
                steps,
                rows,
                target,
                SPAN=self._geometry.span_rows,
                LEVELS=self._geometry.levels,
                LANES=min(self._geometry.lanes, self._geometry.span_rows // 2),
            )
            rows = target
        return rows

    def _empty(self, rows: int, words: int) -> torch.Tensor:
        return torch.empty(rows, words, dtype=torch.int32, device=self._device)

    def _next_table(self) -> tuple[torch.Tensor, int]:
        return next(self._tables)

    def _uploaded(self, launches: Sequence[Launch]) -> Iterator[tuple[torch.Tensor, int]]:
        """The launches' tables on the device, sent there together, each with its steps."""
        tables = [launch.table for launch in launches]
        columns = chain.from_iterable(table.columns for table in tables)
        values = torch.tensor(list(chain.from_iterable(columns)), dtype=torch.int64, device="cpu")
        if self._device.type != "cpu":
            # Pinned, so that the host need not wait until the copy is done.
            values = values.pin_memory().to(self._device, non_blocking=True)
        sizes = [len(table.columns) << table.steps for table in tables]
        return zip(values.split_with_sizes(sizes), [table.steps for table in tables], strict=True)


def _launches(work: Plan) -> list[Launch]:
    """The launches of a plan in the order in which they are made."""
    launches = []
    for window in work.windows:
        launches += [window.chunks] if window.padding is None else [window.padding, window.chunks]
        launches += [stage.launch for stage in window.stages]
    return launches + [stage.launch for stage in work.joining]
