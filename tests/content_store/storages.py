"""Tensors and storages that several test modules make."""

import torch


def storage_of(data: bytes, device: str = "cpu") -> torch.UntypedStorage:
    return tensor_of(data, device).untyped_storage()


def tensor_of(data: bytes, device: str = "cpu") -> torch.Tensor:
    """A uint8 tensor with these bytes, and a storage of no more than these."""
    if not data:
        return torch.empty(0, dtype=torch.uint8, device=device)
    return torch.frombuffer(bytearray(data), dtype=torch.uint8).clone().to(device)


def bytes_of(storage: torch.UntypedStorage) -> bytes:
    """The bytes of a storage of any device, by a way of its own."""
    return torch.empty(0, dtype=torch.uint8).set_(storage.cpu()).numpy().tobytes()


def has_dtype(device: str, dtype: torch.dtype) -> bool:
    """Metal has no double precision."""
    return device != "mps" or dtype not in {torch.float64, torch.complex128}


def all_dtypes() -> list[torch.dtype]:
    return sorted({v for v in vars(torch).values() if isinstance(v, torch.dtype)}, key=str)
