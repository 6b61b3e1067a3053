"""A reader over a dictionary: the operator's tests need no store."""

import torch


class DictReader:
    """Hands out the very tensors that it was given, moved to the device."""

    def __init__(self, **tensors: torch.Tensor) -> None:
        self._tensors = tensors
        self.names_read: list[str] = []

    def read_tensor(self, name: str, *, device: torch.device) -> torch.Tensor:
        self.names_read.append(name)
        return self._tensors[name].to(device)
