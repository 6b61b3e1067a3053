"""Whether tensors that were read are those that were written, down to the bit."""

from collections.abc import Mapping

import torch

from torchstash.tools.demo.errors import DemoError


def require_same_bits(
    written: Mapping[str, torch.Tensor], read: Mapping[str, torch.Tensor]
) -> None:
    """Compares each tensor with its copy, and which of them share a storage.

    Raises:
        DemoError: They differ; it names the tensor and what differs.
    """
    for name, tensor in written.items():
        expected, found = _facts(tensor), _facts(read[name])
        for what, fact in expected.items():
            if fact != found[what]:
                raise DemoError(f"{name} came back with {what} {found[what]} instead of {fact}")
        if not torch.equal(_contents(tensor), _contents(read[name])):
            raise DemoError(f"{name} came back with other bytes than were written")
    shared: dict[int, str] = {}
    for name, tensor in written.items():
        first = shared.setdefault(tensor.untyped_storage().data_ptr(), name)
        if read[name].untyped_storage().data_ptr() != read[first].untyped_storage().data_ptr():
            raise DemoError(f"{name} and {first} shared a storage, and came back with two")


def _facts(tensor: torch.Tensor) -> dict[str, object]:
    return {
        "type": type(tensor),
        "dtype": tensor.dtype,
        "device": tensor.device,
        "sizes": tensor.shape,
        "strides": tensor.stride(),
        "offset": tensor.storage_offset(),
        "requires_grad": tensor.requires_grad,
        "bytes in its storage": tensor.untyped_storage().nbytes(),
    }


def _contents(tensor: torch.Tensor) -> torch.Tensor:
    """Every byte of the storage, so that NaNs and -0.0 count as what they are."""
    return torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage())
