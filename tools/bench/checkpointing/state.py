"""The state dict that is saved and loaded, and its changes from step to step."""

import itertools
from pathlib import Path
from typing import Any

import torch

_TENSORS = 60
# Of a hundred numbers that a state dict may hold beside its tensors.
_VALUES = 20
_ELEMENT_BYTES = 4


class State:
    """A state dict of `size_bytes`, in tensors of three sizes, random so that none equals another.

    Args:
        size_bytes: Of all tensors, about.
        folder: Where contestants make their checkpoints.
    """

    def __init__(self, size_bytes: int, folder: Path) -> None:
        self.size_bytes = size_bytes
        self.folder = folder
        self._changes = itertools.count(1)
        share = size_bytes // _ELEMENT_BYTES // (_TENSORS // 3)
        generator = torch.Generator().manual_seed(1)
        self.tensors = {
            f"layer.{i}.weight": torch.randn(
                max(1, share * (60, 35, 5)[i % 3] // 100), generator=generator
            )
            for i in range(_TENSORS)
        }

    def whole(self) -> dict[str, Any]:
        """The state dict, over the tensors as they are."""
        return {"model": dict(self.tensors), "counts": {str(i): i for i in range(_VALUES)}}

    def empty(self) -> dict[str, Any]:
        """One to load into."""
        model = {name: torch.zeros_like(tensor) for name, tensor in self.tensors.items()}
        return {"model": model, "counts": dict.fromkeys(map(str, range(_VALUES)), -1)}

    def change_a_tenth(self) -> None:
        """Changes tensors of each size, as no call before has done."""
        number = next(self._changes)
        for i in range(0, _TENSORS, 30):
            for name in (f"layer.{i + j}.weight" for j in range(3)):
                self.tensors[name].fill_(float(number)).add_(i)

    def equals(self, found: dict[str, Any]) -> bool:
        """Whether that is what the state dict holds now."""
        return found["counts"] == self.whole()["counts"] and all(
            torch.equal(found["model"][name], tensor) for name, tensor in self.tensors.items()
        )
