"""The operator as a typed Python function."""

from collections.abc import Sequence
from typing import cast

import torch

from torchstash.prims.registration import OPERATOR


def load_tensor(
    name: str,
    size: Sequence[int],
    stride: Sequence[int],
    *,
    dtype: torch.dtype,
    device: torch.device | str,
) -> torch.Tensor:
    """The tensor stored under `name`, as plain data in fresh storage.

    Calls `torch.ops.debugprims.load_tensor.default`, which is what a traced graph shows.
    Inside `load_tensor_reader` it reads that store; without one it makes up
    deterministic data (see `stand_in`), and under `FakeTensorMode` or on the meta device no
    data at all. Sizes are constants: a symbolic one is specialised by the call.

    Args:
        name: The name that it was written under.
        size: Elements along each dimension, as stored.
        stride: Elements to skip along each dimension, as stored.
        dtype: Element type of the result; another one than stored is converted as
            `Tensor.to` does.
        device: Where the result lives.

    Raises:
        PrimsError: The stored tensor is not as asked; see `errors` for the tree.
        ContentStoreError: The store lacks the name, or can no longer vouch for it.
    """
    result = OPERATOR(name, size, stride, dtype=dtype, device=torch.device(device))
    return cast("torch.Tensor", result)
