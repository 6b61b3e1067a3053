"""Which reader serves `load_tensor` where the call is made.

The reader lives in a `ContextVar`: each thread and each asynchronous task sees
the ones that it entered itself, the innermost first. A new thread starts with none;
hand it `contextvars.copy_context()` to pass yours on. The threads in which PyTorch runs
the backward pass of an accelerator are new threads in this sense.

PyTorch has an operator of the same name with a reader of its own, a module
global. Where none of ours is active, that one serves, so that programs written for
it go on working beside ours.
"""

import contextlib
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Protocol, cast

import torch

_TORCH_MODULE = "torch._prims.debug_prims"


class TensorReader(Protocol):
    """What the operator needs of a content store's reader."""

    def read_tensor(self, name: str, *, device: torch.device) -> torch.Tensor:
        """The stored tensor on `device`, in storage that nothing else holds."""
        ...


_current: ContextVar[TensorReader | None] = ContextVar(
    "torchstash_load_tensor_reader", default=None
)


@contextlib.contextmanager
def serve_from(reader: TensorReader) -> Iterator[None]:
    """Serves `load_tensor` from `reader` inside; restores the outer one after."""
    token = _current.set(reader)
    try:
        yield
    finally:
        _current.reset(token)


def current_reader() -> TensorReader | None:
    """The innermost reader of this context, else PyTorch's own, else None."""
    reader = _current.get()
    if reader is not None:
        return reader
    # Looked up at each call: the module may come late, and its global changes.
    torchs = getattr(sys.modules.get(_TORCH_MODULE), "LOAD_TENSOR_READER", None)
    return cast("TensorReader | None", torchs)
