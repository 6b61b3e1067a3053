"""Which kernels hash the storages of a device, if they do it right.

Kernels are compiled by the compiler of a driver that this code has never met. So before a
device's kernels are used, they hash a probe whose digest the library knows; where they
cannot be compiled, raise, or are wrong, the device's storages go through the host, and the
log says why, once.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Final, TypeAlias

import torch
from absl import logging

from torchstash.cache.blake3_hasher import hash_whole
from torchstash.content_store.hashing.geometry import BARRIERS, NO_BARRIERS
from torchstash.content_store.hashing.pending import Pending

Begin: TypeAlias = Callable[[Sequence[torch.UntypedStorage], torch.device], Pending]
"""Starts hashing some storages that are all on the device."""

# More than one span of the tree, and a last chunk that is short; then a single short chunk.
_PROBE_SIZES_BYTES: Final = ((1 << 20) + 1027, 3)


def kernels_of(device: torch.device) -> Begin | None:
    """What hashes on `device` itself; None: nothing that can be trusted."""
    load = _LOADERS.get(device.type)
    return None if load is None else _trusted(load, device)


@cache
def _trusted(load: Callable[[], Begin], device: torch.device) -> Begin | None:
    try:
        begin = load()
        problem = _probed(begin, device)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - the boundary to foreign compilers and drivers
        problem = f"{type(error).__name__}: {error}"
    if problem is None:
        return begin
    logging.warning(
        "torchstash: storages on %s are hashed through the host, which is slower, because the "
        "kernels for it cannot be used: %s",
        device,
        problem,
    )
    return None


def _probed(begin: Begin, device: torch.device) -> str | None:
    """What is wrong with the digests that `begin` gives."""
    probes = [(bytes(range(251)) * (size // 251 + 1))[:size] for size in _PROBE_SIZES_BYTES]
    storages = [
        torch.frombuffer(bytearray(probe), dtype=torch.uint8).to(device).untyped_storage()
        for probe in probes
    ]
    if begin(storages, device)() != [hash_whole(probe) for probe in probes]:
        return "they gave a wrong digest"
    return None


def _triton_with_barriers() -> Begin:
    from torchstash.content_store.hashing import triton_device  # noqa: PLC0415 - needs Triton

    return partial(triton_device.begin, geometry=BARRIERS)


def _triton_without_barriers() -> Begin:
    from torchstash.content_store.hashing import triton_device  # noqa: PLC0415 - needs Triton

    return partial(triton_device.begin, geometry=NO_BARRIERS)


def _metal() -> Begin:
    from torchstash.content_store.hashing import metal_device  # noqa: PLC0415 - needs Metal

    metal_device.compiled_kernels()
    return metal_device.begin


_LOADERS: Final[dict[str, Callable[[], Begin]]] = {
    "cuda": _triton_with_barriers,
    "mps": _metal,
    "xpu": _triton_without_barriers,
}
