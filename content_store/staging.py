"""Host memory that bytes pass on their way from a device."""

import torch


def staging(size_bytes: int, device: torch.device) -> torch.Tensor:
    """Host memory for bytes on their way from `device`: pinned where the device knows that."""
    accelerator = torch.accelerator.current_accelerator()
    if accelerator is not None and accelerator.type == device.type:
        try:
            return torch.empty(size_bytes, dtype=torch.uint8, device="cpu", pin_memory=True)
        except RuntimeError:
            pass  # The device has no pinned memory, or no more of it.
    return torch.empty(size_bytes, dtype=torch.uint8, device="cpu")
