"""The memory of storages: a CPU storage as a `memoryview`, without a copy.

`PyMemoryView_FromMemory` costs under a microsecond and serves every dtype; the
ways through a tensor (`numpy()`, DLPack) cost five to ten, and a `ctypes` array
has no strides, which `blake3` refuses.

A view does not keep its storage alive: it must not outlive the call that holds
the storage.
"""

import ctypes
import mmap
from collections.abc import Callable, Iterable
from typing import Final, cast

import torch

from torchstash.content_store.errors import UnsupportedStorageError

_CPU: Final = torch.device("cpu")
_C_LIBRARY: Final = ctypes.CDLL(None)
_PYBUF_READ: Final = 0x100
_PYBUF_WRITE: Final = 0x200

_from_memory: Final[Callable[[int, int, int], memoryview]] = ctypes.PYFUNCTYPE(
    ctypes.py_object, ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int
)(("PyMemoryView_FromMemory", ctypes.pythonapi))


def address_of(storage: torch.UntypedStorage) -> int:
    """Where the bytes lie; 0 only for a storage of no bytes. Not for the meta device.

    Raises:
        UnsupportedStorageError: The storage belongs to a wrapper (a tensor subclass, a
            jagged nested tensor, a zero tensor) and has no bytes of its own.
    """
    try:
        address = storage.data_ptr()
    except RuntimeError as error:
        raise _without_bytes(storage) from error
    if address == 0 and storage.nbytes() > 0:
        raise _without_bytes(storage)
    return address


def empty_storage(size_bytes: int, device: torch.device) -> torch.UntypedStorage:
    """A storage of that size, uninitialized."""
    if device == _CPU:  # As it is without being told, in half the time.
        return torch.UntypedStorage(size_bytes)  # type: ignore[no-untyped-call]
    return torch.UntypedStorage(size_bytes, device=device)  # type: ignore[no-untyped-call]


def map_file(path: str, size_bytes: int) -> torch.UntypedStorage | None:
    """The beginning of a file as a private mapping, copy-on-write; None where there can be none."""
    try:
        # PyTorch itself refuses to map a file that is too short.
        mapping = torch.UntypedStorage.from_file(path, False, size_bytes)
        return cast("torch.UntypedStorage", mapping)
    except (RuntimeError, UnicodeEncodeError):
        # This process has no more mappings, the file system has none at all, the path is
        # not UTF-8, which PyTorch insists on, or the file is gone: which reading it tells.
        return None


def readable(storage: torch.UntypedStorage) -> memoryview:
    """The bytes of a CPU storage, read-only."""
    address, size_bytes = address_of(storage), storage.nbytes()
    return _from_memory(address, size_bytes, _PYBUF_READ) if size_bytes else memoryview(b"")


def readable_all(storages: Iterable[torch.UntypedStorage]) -> list[memoryview]:
    """`readable` for each."""
    views = []
    for storage in storages:
        size_bytes = storage.nbytes()
        try:
            address = storage.data_ptr()
        except RuntimeError:
            address = 0
        # The slow way tells what is wrong.
        whole = address != 0 and size_bytes > 0
        views.append(_from_memory(address, size_bytes, _PYBUF_READ) if whole else readable(storage))
    return views


def writable(storage: torch.UntypedStorage) -> memoryview:
    """The bytes of a CPU storage that nobody else sees yet."""
    address, size_bytes = address_of(storage), storage.nbytes()
    return (
        _from_memory(address, size_bytes, _PYBUF_WRITE) if size_bytes else memoryview(bytearray())
    )


def forget_pages(storage: torch.UntypedStorage) -> None:
    """Gives back the pages of an untouched private mapping; its file still has them.

    Best effort: where the system has no `madvise` nothing happens.
    """
    madvise = getattr(_C_LIBRARY, "madvise", None)
    address = address_of(storage)
    if madvise is not None and address % mmap.PAGESIZE == 0:
        madvise(ctypes.c_void_p(address), ctypes.c_size_t(storage.nbytes()), mmap.MADV_DONTNEED)


def _without_bytes(storage: torch.UntypedStorage) -> UnsupportedStorageError:
    return UnsupportedStorageError(
        f"this storage on {storage.device} belongs to a wrapper (a tensor subclass, a nested or "
        "a functional tensor) and has no bytes of its own; pass those of the tensors inside it"
    )
