"""What `debugprims::load_tensor` computes, before any dispatcher comes into it.

`load` answers with real data, in this order: geometry checked; the stored tensor
read by the current reader straight to the asked device; its size, stride and
device compared; dtype converted; conjugation and negation carried out. Without a
reader it answers with stand-in data. `load_fake` answers with the geometry alone.

The result of both is plain data: offset 0, no gradient, no lazy bits, in storage of
its own. Compiled code relies on that: Inductor plans memory on the belief that an
operator's result aliases nothing and starts on a 16-byte boundary, and the tests of
`torch.library.opcheck` compare real results with fake ones.
"""

from collections.abc import Sequence

import torch

from torchstash.prims.current_reader import current_reader
from torchstash.prims.errors import (
    ConversionError,
    DeviceMismatchError,
    SizeMismatchError,
    StrideMismatchError,
)
from torchstash.prims.geometry import check_geometry, span_elements
from torchstash.prims.stand_in import QUANTIZED_DTYPES, stand_in_tensor

_ALIGNMENT_BYTES = 16


def load(
    name: str,
    size: Sequence[int],
    stride: Sequence[int],
    *,
    dtype: torch.dtype,
    device: torch.device,
) -> torch.Tensor:
    """The tensor stored under `name`, or stand-in data where no reader is open.

    Raises:
        GeometryError: `size` and `stride` describe no tensor.
        MismatchError: The stored tensor has another size or stride, or was
            placed on another device.
        ConversionError: The stored dtype does not convert to `dtype`.
        UnsupportedDtypeError: No reader, and no stand-in data for `dtype`.
    """
    if device.type == "meta":
        return load_fake(name, size, stride, dtype=dtype, device=device)
    check_geometry(name, size, stride)
    reader = current_reader()
    if reader is None:
        return stand_in_tensor(name, size, stride, dtype=dtype, device=device)
    tensor = reader.read_tensor(name, device=device).detach()
    if list(tensor.size()) != list(size):
        raise SizeMismatchError(name, list(size), list(tensor.size()))
    if list(tensor.stride()) != list(stride):
        raise StrideMismatchError(name, list(stride), list(tensor.stride()))
    if tensor.device.type != device.type or device.index not in (None, tensor.device.index):
        raise DeviceMismatchError(name, device, tensor.device)
    return _plain(name, tensor, dtype)


def load_fake(
    name: str,
    size: Sequence[int],
    stride: Sequence[int],
    *,
    dtype: torch.dtype,
    device: torch.device,
) -> torch.Tensor:
    """A tensor of that geometry whose data nobody looks at.

    Raises:
        GeometryError: `size` and `stride` describe no tensor.
    """
    check_geometry(name, size, stride)
    return torch.empty_strided(size, stride, dtype=dtype, device=device)


def _plain(name: str, tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """`tensor` with that dtype, the same size and stride, offset 0 and no lazy bits."""
    if tensor.is_quantized or dtype in QUANTIZED_DTYPES:
        # Only as it is: a quantizer has to be chosen, or undone, by the caller.
        if tensor.dtype != dtype:
            raise ConversionError(name, dtype, tensor.dtype)
        return tensor
    lazy = tensor.is_conj() or tensor.is_neg()
    aligned = tensor.storage_offset() == 0 and tensor.data_ptr() % _ALIGNMENT_BYTES == 0
    if tensor.dtype == dtype and aligned and not lazy:
        return tensor
    # Whole spans, since only they can be converted where elements overlap.
    count = span_elements(tensor.size(), tensor.stride())
    span = tensor.as_strided((count,), (1,)).resolve_conj().resolve_neg()
    if span.dtype != dtype:
        try:
            span = span.to(dtype)
        except NotImplementedError as error:
            raise ConversionError(name, dtype, tensor.dtype) from error
    elif not lazy:
        # As bytes: some dtypes cannot be copied as themselves.
        span = span.view(torch.uint8).clone().view(dtype)
    return span.as_strided(tensor.size(), tensor.stride(), 0)
