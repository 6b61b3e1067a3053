"""What PyTorch itself offers: `torch.hash_tensor`, and both modes of its content store."""

import functools
import hashlib
import operator

import torch
from torch.utils import _content_store

from torchstash.tools.bench.checks import equal_to
from torchstash.tools.bench.contestant import Contestant, Trial
from torchstash.tools.bench.devices import synchronize
from torchstash.tools.bench.errors import UnavailableError, WrongResultError
from torchstash.tools.bench.hashing.storages import Storages

HASH_TENSOR = "torch.hash_tensor"
DEFAULT_MODE = "torch content store, default"
SHA1_MODE = "torch content store, SHA-1"

_SMALL_BYTES = 4096


def contestants(device: str) -> list[Contestant[Storages]]:
    """Those that hash one storage."""
    return [
        Contestant(HASH_TENSOR, device, functools.partial(_hash_tensor, device)),
        Contestant(DEFAULT_MODE, device, functools.partial(_default_mode, device)),
        Contestant(SHA1_MODE, device, functools.partial(_sha1_mode, device)),
    ]


def _hash_tensor(device: str, storages: Storages) -> Trial:
    """By words where the size allows: it would widen each byte to 64 bits."""
    [octets] = storages.octets(device)
    dtype = torch.int64 if octets.numel() % 8 == 0 else torch.uint8
    elements = octets.view(dtype)
    [on_cpu] = storages.octets("cpu")
    expected = functools.reduce(operator.xor, _folded(on_cpu.view(dtype)).tolist(), 0) % (1 << 64)
    # A caller wants the hash, so it comes to the host.
    return Trial(
        lambda: torch.hash_tensor(elements).item(), equal_to(expected), lambda: synchronize(device)
    )


def _folded(elements: torch.Tensor) -> torch.Tensor:
    """Fewer elements with the same XOR."""
    while elements.numel() > 1024:
        half = elements.numel() // 2
        elements = torch.cat([elements[:half] ^ elements[half : 2 * half], elements[2 * half :]])
    return elements


def _default_mode(device: str, storages: Storages) -> Trial:
    [storage] = storages.on(device)
    small = torch.UntypedStorage(_SMALL_BYTES, device=device)  # type: ignore[no-untyped-call]
    # Compiles, the first time, with whatever this machine has for that.
    if _hash_of(small, stable_hash=False) == _hash_of(small, stable_hash=True):
        raise UnavailableError(f"torch.compile does not support {device} here: it gives SHA-1")
    return Trial(
        lambda: _hash_of(storage, stable_hash=False), _is_default_hash, lambda: synchronize(device)
    )


def _is_default_hash(result: object) -> None:
    """Five words of 32 bits. It differs by device and process, so nothing says more of it."""
    if not isinstance(result, str) or len(bytes.fromhex(result)) != 20:
        raise WrongResultError(f"gave {result!r:.80}, which is not five words of 32 bits")


def _sha1_mode(device: str, storages: Storages) -> Trial:
    [storage] = storages.on(device)
    [view] = storages.views()
    return Trial(
        lambda: _hash_of(storage, stable_hash=True),
        equal_to(hashlib.sha1(view, usedforsecurity=False).hexdigest()),
        lambda: synchronize(device),
    )


def _hash_of(storage: torch.UntypedStorage, *, stable_hash: bool) -> str:
    digest: str = _content_store.hash_storage(storage, stable_hash=stable_hash)
    return digest
