"""How fast an accelerator's memory is, and the bus between it and the host."""

import functools

import torch

from torchstash.tools.bench.contestant import Contestant, Trial
from torchstash.tools.bench.devices import synchronize
from torchstash.tools.bench.errors import WrongResultError
from torchstash.tools.bench.hashing.storages import Storages

MEMORY = "device memory, read + write"
BUS = "copy to the host, pinned"


def contestants(device: str) -> list[Contestant[Storages]]:
    """The memory itself, and the way to the host, which hashing on the device avoids."""
    return [
        Contestant(MEMORY, device, functools.partial(_memory, device), is_ceiling=True),
        Contestant(BUS, device, functools.partial(_bus, device), is_ceiling=True),
    ]


def _memory(device: str, storages: Storages) -> Trial:
    """One half is read and written elsewhere: in all, the storage's bytes pass the memory once."""
    [octets] = storages.octets(device)
    half = octets[: max(1, octets.numel() // 2)]
    copy = torch.empty_like(half)
    return Trial(
        lambda: copy.copy_(half), lambda _: _require_equal(copy, half), lambda: synchronize(device)
    )


def _bus(device: str, storages: Storages) -> Trial:
    [octets] = storages.octets(device)
    copy = torch.empty_like(octets, device="cpu", pin_memory=device != "mps")
    return Trial(
        lambda: copy.copy_(octets, non_blocking=True),
        lambda _: _require_equal(copy, storages.octets("cpu")[0]),
        lambda: synchronize(device),
    )


def _require_equal(copy: torch.Tensor, original: torch.Tensor) -> None:
    if not torch.equal(copy, original):
        raise WrongResultError("the copy differs from the original")
