"""The demo must not say that bits are the same when they are not."""

from collections.abc import Callable

import pytest
import torch

from torchstash.tools.demo.errors import DemoError
from torchstash.tools.demo.same_bits import require_same_bits


def _tensors() -> dict[str, torch.Tensor]:
    weight = torch.tensor([[0.0, 1.0], [float("nan"), 3.0]])
    return {"weight": weight, "tied": weight.t(), "other": weight.clone()}


def test_the_same_bits_pass() -> None:
    require_same_bits(_tensors(), _tensors())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda read: read["other"][0].neg_(), "other bytes"),
        (lambda read: read.update(other=read["other"].t()), "strides"),
        (lambda read: read.update(other=read["other"][:1]), "sizes"),
        (lambda read: read.update(other=read["other"].view(torch.int32)), "dtype"),
        (lambda read: read.update(other=torch.nn.Parameter(read["other"])), "type"),
        (lambda read: read.update(other=read["other"].requires_grad_()), "requires_grad"),
        (lambda read: read.update(tied=read["weight"].clone().t()), "came back with two"),
    ],
)
def test_a_difference_is_named(
    change: Callable[[dict[str, torch.Tensor]], object], told: str
) -> None:
    read = _tensors()
    change(read)
    with pytest.raises(DemoError, match=told):
        require_same_bits(_tensors(), read)
