"""Which tensors a `TensorMetadata` cannot express exactly: refused by name.

What is kept is the tensor as a value: its storage, the view it takes of it, its
conj and neg bits, requires_grad, whether it is a Parameter, its quantizer and its
device. As with `torch.save`, the autograd graph around the value is not part of
it: a tensor computed from others comes back as a leaf with the same
requires_grad, and `.grad` is a tensor of its own, to be written under its own name.

Whatever else a user hung on the tensor and would miss is refused, never dropped:
layouts other than strided, subclasses other than `torch.nn.Parameter`, hooks, and
Python attributes. Two kinds of attribute are not the user's: those with which
`torch.nn.Buffer` tells a module how to register it (it comes back as the plain
tensor it is), and the hints that `torch.compile` leaves.
"""

from typing import Final

import torch
from torch import nn

from torchstash.content_store.errors import UnsupportedTensorError
from torchstash.content_store.torch_internals import hooks_of, wrapper_of

_BUFFER_ATTRIBUTES: Final = frozenset({"_is_buffer", "persistent"})
_COMPILER_HINT: Final = "_dynamo_"
_COMPILER_ATTRIBUTES: Final = frozenset({"_specialize_on"})


def require_expressible(tensor: torch.Tensor) -> None:
    """Returns if and only if metadata can express the tensor, its quantizer aside.

    Raises:
        UnsupportedTensorError: Names what cannot be kept, and what to write instead.
    """
    kind = type(tensor)
    if kind is not torch.Tensor and kind is not nn.Parameter:
        raise _refused_type(kind)
    _require_own_storage(tensor)
    hooks = hooks_of(tensor)
    if hooks:
        raise UnsupportedTensorError(
            f"the tensor has {hooks} hooks, which are code and cannot be kept; "
            "write tensor.detach() to keep its values alone"
        )
    attributes = vars(tensor)
    kept = attributes and [name for name in attributes if not _is_torchs_own(name)]
    if kept:
        raise UnsupportedTensorError(
            f"the tensor has Python attributes, which cannot be kept: {', '.join(sorted(kept))}; "
            "write tensor.detach() to keep its values alone"
        )


def _refused_type(kind: type) -> UnsupportedTensorError:
    name = f"{kind.__module__}.{kind.__qualname__}"
    if not issubclass(kind, torch.Tensor):
        return UnsupportedTensorError(f"expected a torch.Tensor, got {name}")
    return UnsupportedTensorError(
        f"a tensor of subclass {name} would come back as a plain tensor; write the plain tensors "
        "that it is made of, or tensor.as_subclass(torch.Tensor) where it has nothing else to keep"
    )


def _require_own_storage(tensor: torch.Tensor) -> None:
    """Refuses what has no strided storage of real bytes."""
    found = wrapper_of(tensor)
    if found is None:
        if tensor.is_nested:
            found = "nested"
        elif tensor.layout is not torch.strided:
            found = f"of layout {tensor.layout}"
        elif tensor.is_meta:
            found = "on the meta device"
        else:
            return
    raise UnsupportedTensorError(
        f"a tensor that is {found} is not a view of a storage of bytes; "
        "write the strided tensors that it is made of"
    )


def _is_torchs_own(attribute: str) -> bool:
    return attribute in _BUFFER_ATTRIBUTES | _COMPILER_ATTRIBUTES or _COMPILER_HINT in attribute
