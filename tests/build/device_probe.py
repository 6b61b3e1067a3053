"""Runs on the device that was asked for, or fails."""


def test_the_device_is_there(device: str) -> None:
    import torch

    assert torch.ones(3, device=device).sum().item() == 3
