"""What is saved: weights, and what some steps of training made of them."""

from collections.abc import Sequence
from pathlib import Path

import torch

_TENSORS = 4
_CHANGED = 0.01

StateDict = dict[str, torch.Tensor]


class Versions:
    """bfloat16 weights of so many bytes, and others of which each 1 % has changed, scattered.

    Attributes:
        folder: Under which each contestant makes one of its own.
        base: The weights.
        changed: Two versions of them, so that what is saved is never what was saved last.
        stored_bytes: By contestant: what a changed version took on disk.
    """

    def __init__(self, size_bytes: int, folder: Path) -> None:
        self._generator = torch.Generator().manual_seed(0)
        self.folder = folder
        self.base = {
            f"layer.{i}": self._weights(size_bytes // (2 * _TENSORS)) for i in range(_TENSORS)
        }
        self.changed: Sequence[StateDict] = (self.step(self.base), self.step(self.base))
        self.stored_bytes: dict[str, int] = {}

    def step(self, state: StateDict) -> StateDict:
        """What one more step makes of a version."""
        return {name: self._changed(tensor) for name, tensor in state.items()}

    def _weights(self, elements: int) -> torch.Tensor:
        return (torch.randn(elements, generator=self._generator) / 50).bfloat16()

    def _changed(self, tensor: torch.Tensor) -> torch.Tensor:
        mask = torch.rand(tensor.shape, generator=self._generator) < _CHANGED
        return torch.where(mask, self._weights(len(tensor)), tensor)


def is_equal(found: object, expected: StateDict) -> bool:
    """Whether a state dict has these very bits."""
    return (
        isinstance(found, dict)
        and list(found) == list(expected)
        and all(
            torch.equal(found[name].view(torch.int16), tensor.view(torch.int16))
            for name, tensor in expected.items()
        )
    )
