"""Stages 1 and 2: a network is trained, and each step of its fine-tuning goes into a store."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from torchstash.content_store import ContentStoreWriter
from torchstash.tools.demo.digits import Digits
from torchstash.tools.demo.network import DigitsNetwork
from torchstash.tools.demo.snapshots import Snapshot, take_snapshot, write_snapshot
from torchstash.tools.demo.stopwatch import Stopwatch
from torchstash.tools.demo.training import (
    freeze_all_but_head,
    pretrain_epoch,
    test_accuracy,
    train_head_epoch,
)

# Snapshots hold the activations of so many test images.
_IMAGE_COUNT = 64


@dataclass(frozen=True)
class Pretraining:
    """What the first stage made."""

    digits: Digits
    network: DigitsNetwork
    seconds: float


@dataclass(frozen=True)
class FineTuning:
    """What the second stage made; the store holds every snapshot."""

    snapshots: list[Snapshot]
    accuracy: float
    training_seconds: float
    writing_seconds: float


def pretrain(epochs: int, advance: Callable[[], None]) -> Pretraining:
    """Trains the whole network on images without labels."""
    watch = Stopwatch()
    with watch.running():
        digits = Digits.load()
        network = DigitsNetwork()
        optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
        for _ in range(epochs):
            pretrain_epoch(network, optimizer, digits)
            advance()
    return Pretraining(digits, network, watch.seconds)


def fine_tune(
    pretrained: Pretraining, store: Path, steps: int, advance: Callable[[], None]
) -> FineTuning:
    """Trains the head alone, an epoch a step, and writes a snapshot after each step."""
    network, digits = pretrained.network, pretrained.digits
    freeze_all_but_head(network)
    optimizer = torch.optim.AdamW(network.head.parameters(), lr=2e-3)
    training, writing = Stopwatch(), Stopwatch()
    snapshots = []
    with ContentStoreWriter(store) as writer:
        for step in range(1, steps + 1):
            with training.running():
                train_head_epoch(network, optimizer, digits)
            snapshot = take_snapshot(step, network, optimizer, digits.test_images[:_IMAGE_COUNT])
            with writing.running():
                write_snapshot(writer, snapshot)
            snapshots.append(snapshot)
            advance()
    accuracy = test_accuracy(network, digits)
    return FineTuning(snapshots, accuracy, training.seconds, writing.seconds)
