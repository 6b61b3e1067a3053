"""The devices of PyTorch that a benchmark runs on: the CPU, and the first of each accelerator."""

import platform
from collections.abc import Sequence

import torch

from torchstash.tools.bench.errors import UsageError

_ACCELERATORS = ("cuda", "xpu", "mps")


def present_devices() -> list[str]:
    """By PyTorch's name, the CPU first."""
    return ["cpu", *(name for name in _ACCELERATORS if getattr(torch, name).is_available())]


def require_devices(names: Sequence[str]) -> list[str]:
    """The devices that were asked for, in that order, once each.

    Raises:
        UsageError: One is not there. A benchmark of less than was asked for would mislead.
    """
    present = present_devices()
    for name in names:
        if name not in present:
            raise UsageError(
                f"asked for the device {name!r}; PyTorch {torch.__version__} finds here:"
                f" {', '.join(present)}"
            )
    return list(dict.fromkeys(names))


def synchronize(device: str) -> None:
    """Waits until the device has done what it was given."""
    if device != "cpu":
        torch.get_device_module(device).synchronize()


def device_model(device: str) -> str:
    """What the maker calls it."""
    if device == "mps":
        return f"GPU of {platform.machine()}"
    name: str = torch.get_device_module(device).get_device_name()
    return name
