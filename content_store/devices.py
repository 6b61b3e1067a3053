"""Where a tensor that is read goes: devices checked before anything is read for them."""

import torch

from torchstash.content_store.errors import DeviceUnavailableError
from torchstash.content_store.memory import empty_storage
from torchstash.content_store.torch_internals import without_dispatch_modes
from torchstash.proto.content_store.v1.tensor_metadata_pb2 import TensorMetadata

CPU = torch.device("cpu")


def available_device(device: torch.device | str | int) -> torch.device:
    """The device as storages name it ("cuda" becomes the current one, "cuda:0").

    Raises:
        DeviceUnavailableError: PyTorch cannot put a tensor there.
    """
    try:
        wanted = torch.device(device)
        if wanted.type == "cpu":
            return CPU
        with without_dispatch_modes():
            return torch.empty(0, dtype=torch.uint8, device=wanted).device
    except (RuntimeError, AssertionError, ImportError) as error:
        raise DeviceUnavailableError(
            f"the device {str(device)!r} is not on this machine ({_first_line(error)}); "
            'pass device="cpu", or another that is'
        ) from error


def recorded_device(metadata: TensorMetadata, name: str) -> torch.device:
    """The device that the tensor was written from.

    Raises:
        DeviceUnavailableError: It is not on this machine.
    """
    device = metadata.device
    if device.type == "cpu":
        return CPU
    text = f"{device.type}:{device.index}" if device.HasField("index") else device.type
    try:
        return available_device(text)
    except DeviceUnavailableError as error:
        raise DeviceUnavailableError(
            f"the tensor {name!r} was written from device {text!r}, which is not on this machine; "
            'pass device="cpu" to read it there'
        ) from error


def moved(storage: torch.UntypedStorage, device: torch.device) -> torch.UntypedStorage:
    """The storage itself where it is on `device` already, a copy there otherwise."""
    if storage.device == device:
        return storage
    with without_dispatch_modes():
        return empty_storage(storage.nbytes(), device).copy_(storage)


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
