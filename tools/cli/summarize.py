"""A tensor's values in a few numbers, whatever its element type.

Range and mean are of the values that are numbers; those that are not (NaN) are counted.
Complex values have no order: magnitudes stand for them. Types that PyTorch keeps but does not
compute with are shown as the bytes that they are.
"""

from dataclasses import dataclass

import torch

_FIRST_COUNT = 8
_MID_UINT64 = 1 << 63

Number = bool | int | float | complex


@dataclass(frozen=True, slots=True)
class Summary:
    """What `summarize` found; None where there is no value to tell it of."""

    # What stands for the values: "values" themselves, "magnitudes", ...
    of: str
    minimum: Number | None
    maximum: Number | None
    mean: Number | None
    nan_count: int
    # In the order of indices, outermost dimension first.
    first: list[Number]


def summarize(tensor: torch.Tensor) -> Summary:
    """Looks at every value of a CPU tensor."""
    tensor = tensor.detach()
    of = "values"
    if tensor.is_quantized:
        of, tensor = "dequantized values", tensor.dequantize()
    elif not tensor.is_complex() and not _converts(tensor.dtype):
        of, tensor = (
            "storage bytes",
            torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage()),
        )
    first = _first(tensor)
    tensor = _without_repeats(tensor)
    if tensor.is_complex():
        # In double precision, for PyTorch warns of computing with halves.
        of, tensor = "magnitudes", tensor.to(torch.complex128).abs()
    nan_count = 0
    if tensor.dtype.is_floating_point:
        if tensor.dtype.itemsize == 1:
            tensor = tensor.to(torch.float32)
        is_nan = tensor.isnan()
        nan_count = int(is_nan.sum())
        tensor = tensor[~is_nan] if nan_count else tensor
    if tensor.numel() == 0:
        return Summary(of, None, None, None, nan_count, first)
    mean = tensor.mean(dtype=torch.float64).item()
    return Summary(of, *_range(tensor), mean, nan_count, first)


def _converts(dtype: torch.dtype) -> bool:
    try:
        torch.zeros(1, dtype=dtype).to(torch.float64)
    except (NotImplementedError, RuntimeError):
        return False
    return True


def _without_repeats(tensor: torch.Tensor) -> torch.Tensor:
    """Each element that strides of 0 repeat, once: no range and no mean changes by it."""
    for dim in reversed(range(tensor.ndim)):
        if tensor.stride(dim) == 0 and tensor.shape[dim] > 1:
            tensor = tensor.select(dim, 0)
    return tensor


def _range(tensor: torch.Tensor) -> tuple[Number, Number]:
    offset = 0
    if tensor.dtype == torch.uint64:
        # It does not compare in PyTorch: shift the values to int64, in their order.
        tensor, offset = tensor.view(torch.int64).bitwise_xor(-_MID_UINT64), _MID_UINT64
    elif tensor.dtype in (torch.uint16, torch.uint32):
        tensor = tensor.to(torch.int64)
    low, high = tensor.aminmax()
    return low.item() + offset, high.item() + offset


def _first(tensor: torch.Tensor) -> list[Number]:
    if tensor.ndim == 0:
        return [tensor.item()]
    positions = torch.arange(min(_FIRST_COUNT, tensor.numel()))
    indices = torch.stack(torch.unravel_index(positions, tensor.shape), dim=1)
    return [tensor[tuple(index)].item() for index in indices.tolist()]
