"""Tensors made from checked metadata and a storage.

The tensor is a view of the storage that was given: two tensors over one storage
share their elements again. One kind cannot: PyTorch's packed quantized types
(`quint4x2`, `quint2x4`) refuse to view a storage, so such a tensor gets a copy.

Making one is not an operation of the user's program: no dispatch mode sees it (a
tensor read under `FakeTensorMode` is real), and no default device moves it.
"""

from collections.abc import Iterable

import torch
from torch import nn

from torchstash.content_store import dtypes
from torchstash.content_store.errors import CorruptMetadataError, UnsupportedTensorError
from torchstash.content_store.metadata import Description, PlainView
from torchstash.content_store.quantizers import quantized_empty
from torchstash.content_store.torch_internals import set_lazy_bits, without_dispatch_modes
from torchstash.proto.content_store.v1.tensor_metadata_pb2 import TensorMetadata


def rebuild_described(description: Description, storage: torch.UntypedStorage) -> torch.Tensor:
    """`rebuild_plain` where that will do, else `rebuild`."""
    if description.plain is not None:
        return rebuild_plain(description.plain, storage)
    return rebuild(description.metadata, storage)


def rebuild_plain(view: PlainView, storage: torch.UntypedStorage) -> torch.Tensor:
    """`rebuild` for most tensors, in few steps.

    Raises:
        CorruptMetadataError: PyTorch refuses the description.
    """
    try:
        with without_dispatch_modes():
            return _plain(view, storage)
    except (RuntimeError, OverflowError) as error:
        raise _refused(error) from error


def rebuild_all(
    described: Iterable[tuple[Description, torch.UntypedStorage]],
) -> list[torch.Tensor]:
    """`rebuild_described` for each."""
    try:
        with without_dispatch_modes():
            return [
                rebuild(description.metadata, storage)
                if description.plain is None
                else _plain(description.plain, storage)
                for description, storage in described
            ]
    except (RuntimeError, OverflowError) as error:
        raise _refused(error) from error


def _plain(view: PlainView, storage: torch.UntypedStorage) -> torch.Tensor:
    dtype, sizes, strides, offset_elements, requires_grad, is_parameter, _ = view
    tensor = torch.empty(0, dtype=dtype, device=storage.device)
    # Nothing records this: the tensor does not ask for a gradient yet.
    tensor.set_(storage, offset_elements, sizes, strides)
    if is_parameter:
        return nn.Parameter(tensor, requires_grad=requires_grad)
    return tensor.requires_grad_() if requires_grad else tensor


def rebuild(metadata: TensorMetadata, storage: torch.UntypedStorage) -> torch.Tensor:
    """The tensor that metadata from `parse_metadata` describes, over its storage.

    Raises:
        CorruptMetadataError: PyTorch refuses the description.
        UnsupportedTensorError: PyTorch has no such tensor on the storage's device.
    """
    dtype = dtypes.dtype_named(metadata.dtype)
    try:
        with without_dispatch_modes(), torch.no_grad():
            tensor = _view(metadata, dtype, storage)
            if metadata.is_conj or metadata.is_neg:
                set_lazy_bits(tensor, conj=metadata.is_conj, neg=metadata.is_neg)
            if metadata.is_parameter:
                return nn.Parameter(tensor, requires_grad=metadata.requires_grad)
            return tensor.requires_grad_(metadata.requires_grad)
    except (NotImplementedError, TypeError) as error:
        raise UnsupportedTensorError(
            f"PyTorch {torch.__version__} has no {metadata.dtype} tensors of this kind on "
            f"{storage.device}; read it with device='cpu'"
        ) from error
    except (RuntimeError, OverflowError) as error:
        raise _refused(error) from error


def _refused(error: Exception) -> CorruptMetadataError:
    return CorruptMetadataError(f"PyTorch refuses the recorded tensor: {error}")


def _view(
    metadata: TensorMetadata, dtype: torch.dtype, storage: torch.UntypedStorage
) -> torch.Tensor:
    sizes = tuple(metadata.sizes)
    if dtypes.is_packed(dtype):
        packed = quantized_empty(metadata, dtype, storage.device, sizes=sizes)
        packed.untyped_storage().copy_(storage)
        return packed
    if dtypes.is_quantized(dtype):
        # Nothing but the axis of the channels needs its true length before set_.
        channels = metadata.HasField("per_channel_affine")
        axis = metadata.per_channel_affine.axis if channels else None
        seed = [size if i == axis else 0 for i, size in enumerate(sizes)]
        tensor = quantized_empty(metadata, dtype, storage.device, sizes=seed)
    elif dtype is torch.complex32:
        # Made directly, it warns that it is experimental: not what the reader asked.
        tensor = torch.empty(0, dtype=torch.uint8, device=storage.device).view(dtype).data
    else:
        tensor = torch.empty(0, dtype=dtype, device=storage.device)
    return tensor.set_(storage, metadata.storage_offset_elements, sizes, tuple(metadata.strides))
