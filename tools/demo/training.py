"""Trains the network: the whole of it on images alone, then its head on their labels."""

from collections.abc import Iterator

import torch
from torch.nn import functional

from torchstash.tools.demo.digits import Digits
from torchstash.tools.demo.network import DigitsNetwork

_BATCH = 64
_NOISE = 0.3


def pretrain_epoch(
    network: DigitsNetwork, optimizer: torch.optim.Optimizer, digits: Digits
) -> None:
    """Lets the network see each image once, noisy, and give it back clean."""
    network.train()
    for batch in _batches(len(digits.train_images)):
        images = digits.train_images[batch]
        noisy = images + _NOISE * torch.randn_like(images)
        loss = functional.mse_loss(network.reconstruct(noisy), images)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()


def freeze_all_but_head(network: DigitsNetwork) -> None:
    """From here on only the head changes: no gradients elsewhere, and no running statistics."""
    network.requires_grad_(False)
    network.head.requires_grad_(True)
    network.eval()


def train_head_epoch(
    network: DigitsNetwork, optimizer: torch.optim.Optimizer, digits: Digits
) -> None:
    """Lets the head see each image once."""
    for batch in _batches(len(digits.train_images)):
        loss = functional.cross_entropy(
            network(digits.train_images[batch]), digits.train_labels[batch]
        )
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()


@torch.no_grad()
def test_accuracy(network: DigitsNetwork, digits: Digits) -> float:
    """The share of test images whose digit the network tells."""
    told = network(digits.test_images).argmax(1)
    return torch.sum(told == digits.test_labels).item() / len(told)


def _batches(count: int) -> Iterator[torch.Tensor]:
    yield from torch.split(torch.randperm(count), _BATCH)
