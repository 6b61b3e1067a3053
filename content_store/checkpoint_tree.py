"""How a snapshot holds a state dict whose tensors lie in chunks, and how it becomes whole.

`content_store/distributed_checkpoint` writes such a tree for `torch.distributed.checkpoint`,
whose ranks each hold a part of a tensor:

    {
        "torch.distributed.checkpoint": 1,          the version of this layout
        "state_dict": {
            "model.weight": {                       a tensor, by its dotted name
                "size": torch.Size([8, 4]),
                "dtype": torch.float32,
                "requires_grad": False,
                "chunks": [(torch.Size([0, 0]), tensor), (torch.Size([4, 0]), tensor)],
            },
            "step": {"value": 1},                   anything else
        },
        "planner_data": {"model.weight": ("model", "weight"), "step": ("step",)},
        "facts": {"save_id": "...", "modules": []},
    }

Each chunk lies at its offsets in the whole tensor. Where the planner's data give the path of a
name, as those of PyTorch's own planners do, `whole` nests what it names again.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch

from torchstash.content_store.errors import CorruptMetadataError, UnsupportedValueError
from torchstash.content_store.torch_internals import without_dispatch_modes

MARK: Final = "torch.distributed.checkpoint"
VERSION: Final = 1
DEPTH: Final = 4
"""How many containers of the layout lie around a value, at most."""

STATE_DICT: Final = "state_dict"
PLANNER_DATA: Final = "planner_data"
VALUE: Final = "value"
SIZE: Final = "size"
DTYPE: Final = "dtype"
REQUIRES_GRAD: Final = "requires_grad"
CHUNKS: Final = "chunks"
FACTS: Final = "facts"


_MALFORMED: Final = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


def is_checkpoint(tree: object) -> bool:
    """Whether a snapshot has this layout, or a later one of its kind."""
    return type(tree) is dict and MARK in tree


def require_unmarked(tree: object) -> None:
    """Returns if and only if nobody will take for a checkpoint what is none.

    Raises:
        UnsupportedValueError: It has the key that marks one.
    """
    if is_checkpoint(tree):
        raise UnsupportedValueError(
            f"a state dict with the key {MARK!r} at its top would be taken for a sharded "
            "checkpoint; rename the key, or save with CheckpointWriter"
        )


def require_known(version: object, name: str) -> None:
    """Returns if and only if this release knows the layout.

    Raises:
        UnsupportedValueError: A later release wrote it.
    """
    if version != VERSION:
        raise UnsupportedValueError(
            f"the checkpoint {name!r} has version {version!r} of its layout, and this release "
            f"knows {VERSION}; read it with a newer one"
        )


def whole(tree: Any, name: str) -> object:  # noqa: ANN401 - whatever was saved
    """The state dict of a checkpoint, unsharded and nested; any other snapshot as it is.

    A tensor in one chunk is that chunk, mapped as it was read; the chunks of others are copied.

    Raises:
        CorruptMetadataError: It contradicts itself.
        UnsupportedValueError: A later release wrote it.
    """
    if not is_checkpoint(tree):
        return tree
    require_known(tree[MARK], name)
    try:
        paths = tree[PLANNER_DATA]
        nested: dict[object, Any] = {}
        for key, item in tree[STATE_DICT].items():
            value = item[VALUE] if VALUE in item else _assembled(item)
            path = paths.get(key, (key,)) if isinstance(paths, Mapping) else (key,)
            _put(nested, path, value, most=len(tree[STATE_DICT]))
    except _MALFORMED as error:
        raise CorruptMetadataError(
            f"the checkpoint {name!r} contradicts itself ({error}); save it again"
        ) from error
    return nested


def _assembled(item: Mapping[str, Any]) -> torch.Tensor:
    size, chunks = item[SIZE], item[CHUNKS]
    if len(chunks) == 1 and chunks[0][1].shape == size:
        only: torch.Tensor = chunks[0][1]
        return only
    if sum(chunk.numel() for _, chunk in chunks) != size.numel():
        raise ValueError(f"chunks of a tensor of {tuple(size)} do not fill it")
    with without_dispatch_modes(), torch.no_grad():
        tensor = torch.empty(size, dtype=item[DTYPE], device=chunks[0][1].device)
        for offsets, chunk in chunks:
            place = tensor
            for dimension, (offset, length) in enumerate(zip(offsets, chunk.shape, strict=True)):
                place = place.narrow(dimension, offset, length)
            place.copy_(chunk)
    return tensor


def _put(nested: dict[object, Any], path: tuple[object, ...], value: object, *, most: int) -> None:
    """Sets what the path leads to: a str is a key of a dict, an int a place in a list."""
    container: Any = nested
    for part, then in zip(path, (*path[1:], None), strict=True):
        make: Callable[[], object] = list if type(then) is int else dict
        if isinstance(container, list):
            if type(part) is not int or not 0 <= part < most:
                raise ValueError(f"{part!r} is no place in a list")
            container.extend([None] * (part + 1 - len(container)))
            if then is not None and container[part] is None:
                container[part] = make()
        elif then is not None:
            container.setdefault(part, make())
        if then is None:
            container[part] = value
        else:
            container = container[part]
