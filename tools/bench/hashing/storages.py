"""The bytes that all contestants hash."""

from functools import cached_property
from typing import Final

import torch
from blake3 import blake3

_SEED: Final = 3


class Storages:
    """Some storages of one size with different contents, on the CPU and on every device asked for.

    No byte of them is zero: see memory_read.py.

    Args:
        count: Number of storages.
        size_bytes: Of each.
    """

    def __init__(self, count: int, size_bytes: int) -> None:
        self.size_bytes: Final = size_bytes
        generator = torch.Generator().manual_seed(_SEED)
        self._by_device = {
            "cpu": [_random(size_bytes, generator).untyped_storage() for _ in range(count)]
        }

    def on(self, device: str) -> list[torch.UntypedStorage]:
        """The storages there; copied at the first call."""
        if device not in self._by_device:
            self._by_device[device] = [storage.to(device=device) for storage in self.on("cpu")]
        return self._by_device[device]

    def octets(self, device: str) -> list[torch.Tensor]:
        """The same memory as tensors of uint8."""
        return [
            torch.empty(0, dtype=torch.uint8, device=device).set_(storage)
            for storage in self.on(device)
        ]

    def views(self) -> list[memoryview]:
        """The same memory on the CPU, as libraries take it."""
        return [octets.numpy().data for octets in self.octets("cpu")]

    @cached_property
    def digests(self) -> list[str]:
        """BLAKE3 in hex digits, of the library called directly."""
        return [blake3(view, max_threads=blake3.AUTO).hexdigest() for view in self.views()]


def _random(size_bytes: int, generator: torch.Generator) -> torch.Tensor:
    """By words, as that is eight times as fast as by bytes."""
    words = torch.empty(-(-size_bytes // 8), dtype=torch.int64)
    octets = words.random_(-(1 << 63), None, generator=generator).view(torch.uint8)[:size_bytes]
    octets.clamp_(min=1)
    return octets if octets.untyped_storage().nbytes() == size_bytes else octets.clone()
