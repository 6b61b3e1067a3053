"""Brings a file onto a device: reading, checking and copying overlap.

Two slices of host memory take turns, pinned where the device can copy from that: while one is
copied, and hashed by a thread, the next one is read into the other.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from io import FileIO
from typing import Final

import torch
from blake3 import blake3

from torchstash.content_store.memory import empty_storage, readable, writable
from torchstash.content_store.staging import staging
from torchstash.content_store.torch_internals import without_dispatch_modes

SLICE_BYTES: Final = 32 << 20
"""What a slice holds on the host; a storage on its way takes two of them."""


class ShortFileError(Exception):
    """A file ended before its time."""

    def __init__(self, missing_bytes: int) -> None:
        super().__init__(f"it ended {missing_bytes} bytes early")


def storage_from_file(
    path: str,
    size_bytes: int,
    device: torch.device,
    hashed: blake3 | None,
    *,
    slice_bytes: int = SLICE_BYTES,
) -> torch.UntypedStorage:
    """A storage on `device` with the first `size_bytes` of a file.

    Args:
        path: The file.
        size_bytes: At least 1.
        device: Any but the CPU, which reads or maps a file as it is.
        hashed: Is given all bytes in order; it has them when this returns.
        slice_bytes: Of host memory, twice.

    Raises:
        ShortFileError: The file is shorter.
        OSError: It cannot be read.
    """
    with without_dispatch_modes(), torch.no_grad():
        storage = empty_storage(size_bytes, device)
        target = torch.empty(0, dtype=torch.uint8, device=device).set_(storage)
    starts = range(0, size_bytes, slice_bytes)
    slots = [_Slot(min(slice_bytes, size_bytes), device) for _ in starts[:2]]
    with FileIO(path) as file, ThreadPoolExecutor(1, "torchstash-hash") as pool:
        for nth, start in enumerate(starts):
            length = min(slice_bytes, size_bytes - start)
            slot = slots[nth % 2]
            slot.wait()
            slot.read(file, length, left_bytes=size_bytes - start)
            if hashed is not None:
                slot.hashing = pool.submit(hashed.update, slot.bytes(length))
            slot.copy_to(target[start : start + length])
    for slot in slots:
        slot.wait()
    return storage


class _Slot:
    """A slice of host memory, and what is still using it."""

    def __init__(self, size_bytes: int, device: torch.device) -> None:
        self._staged = staging(size_bytes, device)
        self._memory = writable(self._staged.untyped_storage())
        self._device = device
        self._copied: torch.Event | None = None
        self.hashing: Future[object] | None = None

    def wait(self) -> None:
        """Until nobody uses the memory any more."""
        if self.hashing is not None:
            self.hashing.result()
            self.hashing = None
        if self._copied is not None:
            self._copied.synchronize()
            self._copied = None

    def read(self, file: FileIO, length: int, *, left_bytes: int) -> None:
        done = 0
        while done < length:
            count = file.readinto(self._memory[done:length])
            if not count:
                raise ShortFileError(left_bytes - done)
            done += count

    def bytes(self, length: int) -> memoryview:
        return readable(self._staged.untyped_storage())[:length]

    def copy_to(self, target: torch.Tensor) -> None:
        """Begin to copy; the memory is in use until `wait`, if it is pinned."""
        is_pinned = self._staged.is_pinned()
        with without_dispatch_modes(), torch.no_grad():
            target.copy_(self._staged[: len(target)], non_blocking=is_pinned)
            if is_pinned:
                self._copied = torch.Event(self._device)
                self._copied.record()
