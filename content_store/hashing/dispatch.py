"""Hashes storages wherever they are: each device computes the digests of its own.

In this order: look at every storage, start the devices, hash what is on the host
meanwhile, wait for the devices.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final

import torch

from torchstash.cache.blake3_hasher import hash_whole
from torchstash.cache.digest import Digest
from torchstash.content_store.errors import StreamCaptureError, UnsupportedStorageError
from torchstash.content_store.hashing import cpu, host
from torchstash.content_store.hashing.kernels import kernels_of
from torchstash.content_store.hashing.pending import Pending
from torchstash.content_store.memory import readable
from torchstash.content_store.torch_internals import without_dispatch_modes

_CPU: Final = torch.device("cpu")


def digest_storage(storage: torch.UntypedStorage) -> Digest:
    """The content address of a storage; raises what `hash_storage` raises."""
    if _device_of(storage) == _CPU:
        return cpu.digest(storage)
    return Digest(_raw_digests([storage])[0])


def digest_storages(storages: Iterable[torch.UntypedStorage]) -> list[Digest]:
    """The content addresses of storages, in their order; raises what `hash_storage` raises."""
    return [Digest(raw) for raw in _raw_digests(storages)]


def hash_storage(storage: torch.UntypedStorage, *, stable_hash: bool = False) -> str:
    """The BLAKE3 digest of a storage's raw bytes: 64 hex digits, as `b3sum` prints them.

    The same on every device, in every process. It is computed on the storage's own
    device, on its current stream, where there are kernels for that (CUDA, XPU, MPS), and by
    the host elsewhere. Draws no random numbers; threads may call it at once.

    Args:
        storage: All of it is hashed, also where the caller holds a view of a part.
        stable_hash: Accepted for callers of `torch.utils._content_store`; every hash is
            stable here.

    Raises:
        TypeError: Not a `torch.UntypedStorage`.
        UnsupportedStorageError: There are no bytes: meta, fake, or inside a wrapper.
        StreamCaptureError: A graph is being captured on the device.
    """
    del stable_hash
    if _device_of(storage) == _CPU:
        return hash_whole(readable(storage)).hex()
    return _raw_digests([storage])[0].hex()


def hash_storages(storages: Iterable[torch.UntypedStorage]) -> list[str]:
    """What `hash_storage` gives for each storage, in their order, in one go.

    Storages on a device share their launches there, and the digests of all of them come to
    the host together; storages on the host are spread over its cores. Raises what
    `hash_storage` raises, before anything is hashed.
    """
    return [raw.hex() for raw in _raw_digests(storages)]


def _raw_digests(storages: Iterable[torch.UntypedStorage]) -> list[bytes]:
    batch = list(storages)
    by_device: dict[torch.device, list[int]] = {}
    for i, storage in enumerate(batch):
        by_device.setdefault(_device_of(storage), []).append(i)
    on_host = by_device.pop(_CPU, [])
    digests = [b""] * len(batch)
    with without_dispatch_modes(), torch.no_grad():
        groups = [
            (places, _begin([batch[i] for i in places], device))
            for device, places in by_device.items()
        ]
        groups.insert(0, (on_host, cpu.begin([batch[i] for i in on_host])))
        for places, finish in groups:
            for i, raw in zip(places, finish(), strict=True):
                digests[i] = raw
    return digests


def _begin(storages: Sequence[torch.UntypedStorage], device: torch.device) -> Pending:
    _refuse_capture(device)
    with _as_current(device):
        begin = kernels_of(device)
        return (host.begin if begin is None else begin)(storages, device)


def _as_current(device: torch.device) -> AbstractContextManager[object]:
    """The device as the current one of its kind, for launches."""
    accelerator = torch.accelerator.current_accelerator()
    if accelerator is None or accelerator.type != device.type:
        return nullcontext()
    return torch.accelerator.device_index(device.index)


def _refuse_capture(device: torch.device) -> None:
    is_capturing = getattr(
        torch.get_device_module(device), "is_current_stream_capturing", lambda: False
    )
    if is_capturing():
        raise StreamCaptureError(
            f"a storage on {device} was to be hashed while a graph is captured there, which holds "
            "operations and no results; hash it before the capture or after a replay"
        )


def _device_of(storage: torch.UntypedStorage) -> torch.device:
    """The device of a storage that may have bytes."""
    if not isinstance(storage, torch.UntypedStorage):
        raise TypeError(
            f"expected a torch.UntypedStorage, got {type(storage).__qualname__}; "
            "a tensor's is tensor.untyped_storage()"
        )
    device = storage.device
    # Comparing devices is ten times as fast as asking for the name of their type.
    if (
        device != _CPU and device.type == "meta"
    ):  # Asking a fake tensor for its address already warns.
        raise UnsupportedStorageError(
            f"a storage of {storage.nbytes()} bytes on the meta device (of a meta or a fake "
            "tensor) has no bytes to hash or keep; pass one of a real tensor"
        )
    return device
