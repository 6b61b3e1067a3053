"""Tensors described as `TensorMetadata`, and descriptions checked when they are read.

A description is believed only after `parse_metadata`: a store may be damaged or
forged, and sizes or strides that leave the storage would read foreign memory.

Programs write and read tensors of few shapes again and again. The serialized
metadata of two such tensors differ in the digest alone, which comes first: so what
follows it is made once, and checked once, for each kind of tensor (`encode`,
`decode`). A quantizer is never remembered.
"""

from functools import lru_cache
from math import prod
from typing import Final, NamedTuple

import torch
from google.protobuf.message import DecodeError

from torchstash.cache.digest import Digest
from torchstash.content_store import dtypes
from torchstash.content_store.errors import CorruptMetadataError, UnsupportedTensorError
from torchstash.content_store.quantizers import quantizer_problem, record_quantizer
from torchstash.proto.content_store.v1.tensor_metadata_pb2 import TensorMetadata

_MAX_INT64: Final = (1 << 63) - 1
_DIGEST_BYTES: Final = 32
# Field 1, length-delimited, 32 bytes: how every serialized TensorMetadata begins.
_DIGEST_HEADER: Final = b"\x0a\x20"
_TAIL_BEGINS: Final = len(_DIGEST_HEADER) + _DIGEST_BYTES
_KINDS_REMEMBERED: Final = 4096


class Description(NamedTuple):
    """Metadata that was checked, but for its digest, and what readers ask of it most."""

    metadata: TensorMetadata
    storage_size_bytes: int
    # A strided view without lazy bits and without a quantizer: None for any other.
    plain: "PlainView | None"


class PlainView(NamedTuple):
    """All that most tensors are, beside their storage."""

    dtype: torch.dtype
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    offset_elements: int
    requires_grad: bool
    is_parameter: bool
    on_cpu: bool


_TAILS: Final[dict[object, bytes]] = {}


def encode(tensor: torch.Tensor, digest: Digest, size_bytes: int) -> bytes:
    """`describe(tensor, digest)`, serialized; `size_bytes` is that of its storage."""
    return encode_raw(tensor, digest.raw, size_bytes)


def encode_raw(tensor: torch.Tensor, digest: bytes, size_bytes: int) -> bytes:
    """`encode`, given the bytes of the digest."""
    kind = (
        tensor.dtype,
        tensor.shape,
        tensor.stride(),
        tensor.storage_offset(),
        size_bytes,
        tensor.device,
        tensor.requires_grad,
        tensor.is_conj(),
        tensor.is_neg(),
        type(tensor),
    )
    tail = _TAILS.get(kind)
    if tail is None:
        described = describe(tensor, Digest(digest)).SerializeToString(deterministic=True)
        if dtypes.is_quantized(tensor.dtype):
            return described  # Of a kind of its own: it has a quantizer.
        tail = described[_TAIL_BEGINS:]
        if len(_TAILS) >= _KINDS_REMEMBERED:
            _TAILS.clear()
        _TAILS[kind] = tail
    return _DIGEST_HEADER + digest + tail


def decode(data: bytes, name: str) -> tuple[bytes, Description]:
    """`parse_metadata` as the digest and what else there is. Raises what that raises."""
    if data[:2] == _DIGEST_HEADER and len(data) > _TAIL_BEGINS:
        try:
            kind = _checked_tail(data[_TAIL_BEGINS:])
        except CorruptMetadataError:
            kind = None  # The slow way says it of this tensor.
        if kind is not None:
            return data[2:_TAIL_BEGINS], kind
    metadata = parse_metadata(data, name)
    return metadata.storage_digest, Description(metadata, metadata.storage_size_bytes, None)


@lru_cache(_KINDS_REMEMBERED)
def _checked_tail(tail: bytes) -> Description | None:
    """What follows a digest, checked; None where it is not a plain view."""
    digest = bytes(_DIGEST_BYTES)
    metadata = parse_metadata(_DIGEST_HEADER + digest + tail, "of this kind")
    dtype = dtypes.dtype_named(metadata.dtype)
    if (
        # A digest that comes a second time would be the one that counts.
        metadata.storage_digest != digest
        or TensorMetadata.FromString(tail).storage_digest
        or metadata.is_conj
        or metadata.is_neg
        or dtypes.is_quantized(dtype)
        or dtype is torch.complex32
    ):
        return None
    plain = PlainView(
        dtype,
        tuple(metadata.sizes),
        tuple(metadata.strides),
        metadata.storage_offset_elements,
        metadata.requires_grad,
        metadata.is_parameter,
        metadata.device.type == "cpu",
    )
    return Description(metadata, metadata.storage_size_bytes, plain)


def describe(tensor: torch.Tensor, digest: Digest) -> TensorMetadata:
    """The metadata of a tensor that `require_expressible` let pass, and whose storage has `digest`.

    Raises:
        UnsupportedTensorError: The metadata could not express its quantizer.
    """
    device = tensor.device
    metadata = TensorMetadata(
        storage_digest=digest.raw,
        storage_size_bytes=tensor.untyped_storage().nbytes(),
        dtype=dtypes.name_of(tensor.dtype),
        sizes=tensor.shape,
        strides=tensor.stride(),
        storage_offset_elements=int(tensor.storage_offset()),
        is_conj=tensor.is_conj(),
        is_neg=tensor.is_neg(),
        requires_grad=tensor.requires_grad,
        is_parameter=isinstance(tensor, torch.nn.Parameter),
    )
    metadata.device.type = device.type
    if device.index is not None:
        metadata.device.index = device.index
    if dtypes.is_quantized(tensor.dtype):
        record_quantizer(tensor, metadata)
    problem = _problem(metadata, tensor.dtype)
    if problem is not None:
        raise UnsupportedTensorError(f"this tensor cannot be kept: {problem}")
    return metadata


def parse_metadata(data: bytes, name: str) -> TensorMetadata:
    """The metadata that was stored for the tensor `name`, believed only after checks.

    Raises:
        CorruptMetadataError: Not a `TensorMetadata`, or one that contradicts itself.
        UnsupportedDtypeError: Sound, but of a dtype that this PyTorch does not have.
    """
    try:
        metadata = TensorMetadata.FromString(data)
    except DecodeError as error:
        raise CorruptMetadataError(
            f"the metadata of tensor {name!r} is damaged: {len(data)} bytes that are no "
            "TensorMetadata; write the tensor again"
        ) from error
    problem = _header_problem(metadata)
    if problem is None:
        problem = _problem(metadata, dtypes.dtype_named(metadata.dtype))
    if problem is not None:
        raise CorruptMetadataError(
            f"the metadata of tensor {name!r} is damaged: {problem}; write the tensor again"
        )
    return metadata


def _header_problem(metadata: TensorMetadata) -> str | None:
    if len(metadata.storage_digest) != _DIGEST_BYTES:
        return f"its digest has {len(metadata.storage_digest)} bytes, not {_DIGEST_BYTES}"
    if not metadata.dtype:
        return "it names no dtype"
    if not metadata.device.type:
        return "it names no device"
    return None


def _problem(metadata: TensorMetadata, dtype: torch.dtype) -> str | None:
    """What contradicts itself; None where the metadata is sound for this dtype."""
    floating = dtype.is_floating_point or dtype.is_complex
    quantized = dtypes.is_quantized(dtype)
    if metadata.is_conj and not dtype.is_complex:
        return f"{metadata.dtype} has a conj bit"
    if metadata.is_neg and quantized:
        return f"{metadata.dtype} has a neg bit"
    if metadata.requires_grad and not floating:
        return f"{metadata.dtype} requires a gradient"
    if quantized != (metadata.WhichOneof("quantizer") is not None):
        return f"{metadata.dtype} {'lacks' if quantized else 'has'} a quantizer"
    problem = _geometry_problem(metadata, dtype)
    if problem is None and quantized:
        problem = quantizer_problem(metadata)
    return problem


def _geometry_problem(metadata: TensorMetadata, dtype: torch.dtype) -> str | None:
    """Why the view is no view of its storage; None where each element lies inside it."""
    sizes, strides = list(metadata.sizes), list(metadata.strides)
    offset, available = metadata.storage_offset_elements, metadata.storage_size_bytes
    if len(sizes) != len(strides) or min(sizes + strides + [offset]) < 0:
        return f"{_view(metadata)} describe no view"
    if prod(sizes) > _MAX_INT64 or available > _MAX_INT64:
        return f"{_view(metadata)} are more than a tensor can have"
    if dtypes.is_packed(dtype):
        needed = dtypes.packed_size_bytes(dtype, sizes)
        if strides != _contiguous(sizes) or offset != 0 or needed != available:
            return f"{_view(metadata)} of packed {metadata.dtype} are not all of {available} bytes"
    elif 0 not in sizes:
        last = offset + sum((n - 1) * step for n, step in zip(sizes, strides, strict=True))
        if (last + 1) * dtype.itemsize > available:
            return f"{_view(metadata)} of {metadata.dtype} leave a storage of {available} bytes"
    return None


def _contiguous(sizes: list[int]) -> list[int]:
    """The strides of a contiguous tensor, as PyTorch counts them."""
    strides = [1] * len(sizes)
    for i in range(len(sizes) - 2, -1, -1):
        strides[i] = strides[i + 1] * max(sizes[i + 1], 1)
    return strides


def _view(metadata: TensorMetadata) -> str:
    """The view for a message: damaged metadata may have a million dimensions."""
    sizes, strides = (
        f"[{', '.join(map(str, values[:8]))}{', ...' if len(values) > 8 else ''}]"
        for values in (metadata.sizes, metadata.strides)
    )
    return f"sizes {sizes}, strides {strides} and offset {metadata.storage_offset_elements}"
