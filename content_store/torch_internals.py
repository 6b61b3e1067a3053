"""What this layer uses of PyTorch beyond its public interface: all of it is here.

A new release of PyTorch can change these without notice, so this is the file to
read when one does.
"""
# ruff: noqa: SLF001 - PyTorch has no public names for these.

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final

import torch

_NOTHING: Final = nullcontext()
_is_functorch_wrapped: Final = torch._C._functorch.is_functorch_wrapped_tensor


def without_dispatch_modes() -> AbstractContextManager[None]:
    """Operators inside are executed, whatever `FakeTensorMode` or tracer surrounds them."""
    # Making the guard costs as much as an operator, and mostly nothing surrounds them.
    return torch._C._DisableTorchDispatch() if torch._C._len_torch_dispatch_stack() else _NOTHING


def identity_of(storage: torch.UntypedStorage) -> int:
    """A number that storages share exactly if they are one, for as long as they live."""
    identity: int = storage._cdata
    return identity


def untyped(storage: torch.storage.TypedStorage) -> torch.UntypedStorage:
    """The bytes of a storage as `torch.save` keeps one; its own `untyped` warns, once a process."""
    return storage._untyped_storage


def hooks_of(tensor: torch.Tensor) -> int:
    """How many hooks the autograd engine would run for this tensor."""
    backward, accumulated = tensor._backward_hooks, tensor._post_accumulate_grad_hooks
    return len(backward or ()) + len(accumulated or ()) if backward or accumulated else 0


def wrapper_of(tensor: torch.Tensor) -> str | None:
    """What wraps a plain-looking tensor that has no memory of its own; None for a real one."""
    if _is_functorch_wrapped(tensor):
        return "inside a torch.func transform"
    if torch._is_functional_tensor(tensor):
        return "functional, of a graph that is being traced,"
    if tensor._is_zerotensor():
        return "an implicit zero without memory"
    return None


def set_lazy_bits(tensor: torch.Tensor, *, conj: bool, neg: bool) -> None:
    """Says that the tensor's values are the conjugates or negatives of its elements."""
    bits = {"conj": conj, "neg": neg}
    # A bit that is named is set, even where it is named as False.
    set_named: Callable[[torch.Tensor, dict[str, bool]], None] = torch._C._set_tensor_metadata  # type: ignore[attr-defined]
    set_named(tensor, {name: True for name, bit in bits.items() if bit})


def empty_per_tensor(
    sizes: Sequence[int], *, scale: float, zero_point: int, dtype: torch.dtype, device: torch.device
) -> torch.Tensor:
    """An uninitialized tensor, quantized with one scale."""
    return torch._empty_affine_quantized(
        sizes, scale=scale, zero_point=zero_point, dtype=dtype, device=device
    )


def empty_per_channel(
    sizes: Sequence[int],
    *,
    scales: torch.Tensor,
    zero_points: torch.Tensor,
    axis: int,
    dtype: torch.dtype,
    device: torch.device,
) -> torch.Tensor:
    """An uninitialized tensor, quantized with a scale for each slice along `axis`."""
    return torch._empty_per_channel_affine_quantized(
        sizes, scales=scales, zero_points=zero_points, axis=axis, dtype=dtype, device=device
    )
