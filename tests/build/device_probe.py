"""Runs on the device that was asked for, or fails."""

import torch


def test_the_device_is_there(device: str) -> None:
    assert torch.ones(3, device=device).sum().item() == 3
