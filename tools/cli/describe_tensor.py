"""What the metadata of a stored tensor says, in words and numbers."""

from math import prod

import torch

from torchstash.proto.content_store.v1.tensor_metadata_pb2 import TensorMetadata

# Several elements share a byte, and the tensor is all of its storage.
_PACKED = ("quint4x2", "quint2x4")


def size_bytes(metadata: TensorMetadata) -> int:
    """Bytes of the tensor's elements; where strides repeat them, at most those of its storage."""
    if metadata.dtype in _PACKED:
        return metadata.storage_size_bytes
    dtype: torch.dtype = getattr(torch, metadata.dtype)
    return min(prod(metadata.sizes) * dtype.itemsize, metadata.storage_size_bytes)


def device_text(metadata: TensorMetadata) -> str:
    """The device by PyTorch's name: "cpu", "cuda:0"."""
    device = metadata.device
    return f"{device.type}:{device.index}" if device.HasField("index") else device.type


def sizes_text(metadata: TensorMetadata) -> str:
    """The sizes as people say them: "64x3x3", "scalar"."""
    return "x".join(map(str, metadata.sizes)) or "scalar"
