"""Snapshots of a training run, and how they get into a content store."""

import copy
from collections.abc import Mapping

import torch

from torchstash.content_store import ContentStoreWriter
from torchstash.tools.demo.network import DigitsNetwork

# Tensors by name.
Snapshot = Mapping[str, torch.Tensor]


def name_of(step: int, *parts: str) -> str:
    """The name of a step's tensor: "step-003/state/head.weight"."""
    return "/".join((f"step-{step:03}", *parts))


def take_snapshot(
    step: int, network: DigitsNetwork, optimizer: torch.optim.Optimizer, images: torch.Tensor
) -> Snapshot:
    """All of the training's state as it is now, and what the network makes of some images.

    The tensors are copies that training does not change; those that shared a storage still do.
    """
    snapshot: dict[str, torch.Tensor] = {}
    # With Parameters as Parameters, and each of their names: the tied weights have two.
    for name, tensor in network.state_dict(keep_vars=True).items():
        snapshot[name_of(step, "state", name)] = tensor
    for name, parameter in network.named_parameters():
        for key, tensor in optimizer.state.get(parameter, {}).items():
            snapshot[name_of(step, "optimizer", name, key)] = tensor
    with torch.no_grad():
        features = network.encoder(images)
        snapshot[name_of(step, "activations", "features")] = features
        snapshot[name_of(step, "activations", "logits")] = network.classify(features)
    return copy.deepcopy(snapshot)


def write_snapshot(writer: ContentStoreWriter, snapshot: Snapshot) -> None:
    """Gives every tensor of a snapshot to the store, under its name."""
    for name, tensor in snapshot.items():
        writer.write_tensor(name, tensor)
