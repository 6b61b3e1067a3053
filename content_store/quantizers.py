"""How a quantized tensor's integers map to real numbers: to and from its metadata.

Scales and zero points travel as the doubles, int64s and floats that PyTorch keeps,
so they come back bit for bit. Making a quantized tensor lets PyTorch say once per
process that its quantized types are deprecated.
"""

import math
from collections.abc import Sequence

import torch

from torchstash.content_store.errors import CorruptMetadataError, UnsupportedTensorError
from torchstash.content_store.torch_internals import empty_per_channel, empty_per_tensor
from torchstash.proto.content_store.v1.tensor_metadata_pb2 import PerChannelAffine, TensorMetadata


def record_quantizer(tensor: torch.Tensor, metadata: TensorMetadata) -> None:
    """Sets the quantizer of `metadata` to that of a quantized tensor.

    Raises:
        UnsupportedTensorError: It has none, or one that metadata cannot express.
    """
    try:
        scheme = tensor.qscheme()
    except RuntimeError as error:
        raise UnsupportedTensorError(
            f"a {tensor.dtype} tensor without a quantizer has no values to keep; "
            "make it with torch.quantize_per_tensor or torch.quantize_per_channel"
        ) from error
    if scheme == torch.per_tensor_affine:
        metadata.per_tensor_affine.scale = tensor.q_scale()
        metadata.per_tensor_affine.zero_point = tensor.q_zero_point()
    elif scheme in {torch.per_channel_affine, torch.per_channel_affine_float_qparams}:
        channels = metadata.per_channel_affine
        channels.axis = tensor.q_per_channel_axis()
        channels.scales.extend(tensor.q_per_channel_scales().tolist())
        zero_points = tensor.q_per_channel_zero_points()
        if zero_points.is_floating_point():
            channels.float_zero_points.extend(zero_points.tolist())
        else:
            channels.zero_points.extend(zero_points.tolist())
    else:
        raise UnsupportedTensorError(
            f"quantizer {scheme} cannot be kept; the store knows per_tensor_affine, "
            "per_channel_affine and per_channel_affine_float_qparams"
        )
    problem = quantizer_problem(metadata)
    if problem is not None:
        raise UnsupportedTensorError(f"the quantizer of this tensor cannot be kept: {problem}")


def quantizer_problem(metadata: TensorMetadata) -> str | None:
    """What makes the quantizer of `metadata` meaningless; None where it is sound."""
    if metadata.HasField("per_tensor_affine"):
        scale = metadata.per_tensor_affine.scale
        sound = math.isfinite(scale) and scale > 0
        return None if sound else f"its scale is {scale}, not a finite number above 0"
    channels = metadata.per_channel_affine
    if not 0 <= channels.axis < len(metadata.sizes):
        return f"its axis is {channels.axis} of {len(metadata.sizes)} dimensions"
    expected = metadata.sizes[channels.axis]
    counts = [len(channels.zero_points), len(channels.float_zero_points)]
    if expected == 0 or len(channels.scales) != expected or sorted(counts) != [0, expected]:
        return (
            f"it has {len(channels.scales)} scales, {counts[0]} integer and {counts[1]} real zero "
            f"points for {expected} channels"
        )
    return None


def quantized_empty(
    metadata: TensorMetadata, dtype: torch.dtype, device: torch.device, *, sizes: Sequence[int]
) -> torch.Tensor:
    """An uninitialized contiguous tensor of `sizes` with the quantizer of `metadata`.

    Raises:
        CorruptMetadataError: PyTorch refuses the quantizer for this dtype.
    """
    try:
        if metadata.HasField("per_tensor_affine"):
            one = metadata.per_tensor_affine
            return empty_per_tensor(
                sizes, scale=one.scale, zero_point=one.zero_point, dtype=dtype, device=device
            )
        channels = metadata.per_channel_affine
        scales, zero_points = _per_channel(channels, device)
        return empty_per_channel(
            sizes,
            scales=scales,
            zero_points=zero_points,
            axis=channels.axis,
            dtype=dtype,
            device=device,
        )
    except RuntimeError as error:
        raise CorruptMetadataError(
            f"PyTorch refuses the recorded quantizer for {dtype}: {error}"
        ) from error


def _per_channel(
    channels: PerChannelAffine, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    if channels.float_zero_points:
        return (
            torch.tensor(channels.scales, dtype=torch.float32, device=device),
            torch.tensor(channels.float_zero_points, dtype=torch.float32, device=device),
        )
    return (
        torch.tensor(channels.scales, dtype=torch.float64, device=device),
        torch.tensor(channels.zero_points, dtype=torch.int64, device=device),
    )
