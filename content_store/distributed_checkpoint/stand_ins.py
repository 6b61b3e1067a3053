"""Tensors without data that stand for those of a manifest, until it is known which are read."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping

import torch

from torchstash.content_store.torch_internals import without_dispatch_modes


class StandIns:
    """`count` of them, each with the number of the tensor that it stands for."""

    def __init__(self, count: int) -> None:
        with without_dispatch_modes():
            self.tensors = [torch.empty(0, device="meta") for _ in range(count)]
        self._numbers = {id(tensor): number for number, tensor in enumerate(self.tensors)}

    def number_of(self, tensor: torch.Tensor) -> int:
        """The number.

        Raises:
            LookupError: It is no stand-in.
        """
        return self._numbers[id(tensor)]

    def numbers_in(self, value: object) -> Iterator[int]:
        """Those of all stand-ins in a tree of containers."""
        if isinstance(value, torch.Tensor):
            yield self.number_of(value)
        elif isinstance(value, dict):
            for inner in value.values():
                yield from self.numbers_in(inner)
        elif type(value) in (list, tuple):
            for inner in value:  # type: ignore[attr-defined]
                yield from self.numbers_in(inner)

    def numbered(self, value: object, real: object) -> Iterator[tuple[int, torch.Tensor]]:
        """The tensors in `real`, a tree like `value`, by the numbers that `value` gives them."""
        if isinstance(value, torch.Tensor) and isinstance(real, torch.Tensor):
            yield self.number_of(value), real
        elif isinstance(value, dict) and isinstance(real, dict):
            for key, inner in value.items():
                yield from self.numbered(inner, real[key])
        elif isinstance(value, list | tuple) and isinstance(real, list | tuple):
            for inner, real_inner in zip(value, real, strict=True):
                yield from self.numbered(inner, real_inner)

    def replaced(self, value: object, tensors: Mapping[int, torch.Tensor]) -> object:
        """The same tree with tensors, by number, in the places of their stand-ins."""
        if isinstance(value, torch.Tensor):
            return tensors[self.number_of(value)]
        if type(value) is OrderedDict:
            ordered = OrderedDict((k, self.replaced(v, tensors)) for k, v in value.items())
            vars(ordered).update(vars(value))
            return ordered
        if type(value) is dict:
            return {key: self.replaced(inner, tensors) for key, inner in value.items()}
        if type(value) is list:
            return [self.replaced(inner, tensors) for inner in value]
        if type(value) is tuple:
            return tuple(self.replaced(inner, tensors) for inner in value)
        return value
