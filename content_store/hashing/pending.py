"""Digests that a device is still computing."""

from collections.abc import Callable
from typing import TypeAlias

import torch

from torchstash.cache.digest import Digest
from torchstash.content_store.memory import readable

Pending: TypeAlias = Callable[[], list[bytes]]
"""Waits for the device and gives the raw digests, in the order of the storages."""


def digests_of_rows(rows: torch.Tensor) -> list[bytes]:
    """The raw digests that lie in the rows of int32 [storages, 8]; crosses the bus once."""
    host = rows.cpu()
    octets = readable(host.untyped_storage())
    size = Digest.SIZE_BYTES
    return [octets[i : i + size].tobytes() for i in range(0, size * len(rows), size)]
