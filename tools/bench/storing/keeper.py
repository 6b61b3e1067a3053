"""Ways to keep named tensors in a folder, behind the two calls that are timed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Keeper:
    """One way to do it: a row of the report.

    Opening and closing are part of both calls.
    """

    name: str
    # Keeps the tensors in the folder, which exists, and may hold what was saved there before.
    # Raises UnavailableError where something is missing.
    save: Callable[[Path, Tensors], object]
    # What was saved; it is handed over again for those that load into the caller's tensors.
    load: Callable[[Path, Tensors], Tensors]
    # A limit of the machine, not a competitor.
    is_ceiling: bool = False


def touch(tensors: Tensors) -> int:
    """Reads a byte of every page, as a program does that uses what it loaded."""
    total = 0
    for tensor in tensors.values():
        raw = torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage())
        total += int(raw[::4096].sum())
    return total
