"""Storages made from what the disk engine keeps.

For the CPU a file is mapped copy-on-write (private): pages are read when they are touched,
and writing to the storage never reaches the store. Its size is checked before it is
mapped, because touching a page behind the end of a file ends the process. Small
contents, which have no file of their own, are copied into fresh memory. To any other
device a file goes slice by slice, through pinned memory.
"""

import os
from io import FileIO

import torch

from torchstash.cache.blake3_hasher import hash_whole, hasher
from torchstash.cache.digest import Digest
from torchstash.cache.disk import Blob
from torchstash.content_store.device_filling import ShortFileError, storage_from_file
from torchstash.content_store.devices import CPU, moved
from torchstash.content_store.errors import CorruptStorageError
from torchstash.content_store.memory import (
    empty_storage,
    forget_pages,
    map_file,
    readable,
    writable,
)

# What tells a file from another that takes its place: inode, size, time of modification.
_Identity = tuple[int, int, int]


class BlobLoader:
    """Loads storages, each checked against its digest unless `verify` is False.

    Small contents are always checked: between their look-up and their reading another
    process may have deleted them, and used their place anew. A file is hashed when it is
    first loaded, and again only when its inode, size or time of modification has changed
    since. Thread-safe.
    """

    def __init__(self, *, verify: bool) -> None:
        self._verify = verify
        self._verified: dict[Digest, _Identity] = {}

    def load(
        self, blob: Blob, wanted_by: str, device: torch.device = CPU, *, mapped: bool = True
    ) -> torch.UntypedStorage:
        """A fresh storage on `device` with the contents of `blob`.

        Args:
            blob: Where the engine keeps the contents.
            wanted_by: For the message: whose storage this is.
            device: Where to put them.
            mapped: On the CPU, map a file, where the system can, instead of reading it.

        Raises:
            CorruptStorageError: The bytes are absent, or are not those with this digest.
        """
        digest = blob.digest
        try:
            if blob.file is None:
                return moved(_copied(blob, digest), device)
            identity = _status(blob, blob.file)
            must_check = self._verify and self._verified.get(digest) != identity
            if device.type == "cpu":
                storage = _on_host(blob.file, blob, mapped=mapped, must_check=must_check)
            else:
                storage = _on_device(blob.file, blob, device, must_check=must_check)
        except (_DamagedError, OSError) as error:
            raise CorruptStorageError(
                f"the storage {digest.hex} of {wanted_by} is damaged: {error}; "
                "write the tensor again"
            ) from error
        if self._verify:
            self._verified[digest] = identity
        return storage


class _DamagedError(Exception):
    """Says what was found, for the message of the public error."""


def _on_host(path: str, blob: Blob, *, mapped: bool, must_check: bool) -> torch.UntypedStorage:
    mapping = map_file(path, blob.size_bytes) if mapped else None
    storage = _read(path, blob.size_bytes) if mapping is None else mapping
    if must_check:
        _require_digest(hash_whole(readable(storage)), blob.digest)
        if mapping is not None:
            # The pages that were hashed stay the file's, not this process's.
            forget_pages(mapping)
    return storage


def _on_device(
    path: str, blob: Blob, device: torch.device, *, must_check: bool
) -> torch.UntypedStorage:
    hashed = hasher(blob.size_bytes) if must_check else None
    try:
        storage = storage_from_file(path, blob.size_bytes, device, hashed)
    except ShortFileError as error:
        raise _DamagedError(f"{path}: {error}") from error
    if hashed is not None:
        _require_digest(hashed.digest(), blob.digest)
    return storage


def _copied(blob: Blob, digest: Digest) -> torch.UntypedStorage:
    storage = empty_storage(blob.size_bytes, CPU)
    target = writable(storage)
    if blob.extent is not None:
        count = blob.extent.file.read_into(blob.extent.offset_bytes, target)
    elif blob.data is not None:
        count = min(len(blob.data), blob.size_bytes)
        target[:count] = blob.data[:count]
    else:
        raise _DamagedError("the catalogue has neither its bytes nor a file")
    if count != blob.size_bytes:
        raise _DamagedError(f"{count} of {blob.size_bytes} bytes are left")
    _require_digest(hash_whole(target), digest)
    return storage


def _status(blob: Blob, path: str) -> _Identity:
    status = os.stat(path)  # noqa: PTH116 - no Path per stored value
    if status.st_size != blob.size_bytes:
        raise _DamagedError(f"{path} has {status.st_size} of {blob.size_bytes} bytes")
    return status.st_ino, status.st_size, status.st_mtime_ns


def _read(path: str, size_bytes: int) -> torch.UntypedStorage:
    storage = empty_storage(size_bytes, CPU)
    rest = writable(storage)
    with FileIO(path) as file:
        while rest:
            count = file.readinto(rest)
            if not count:
                raise _DamagedError(f"{path} ended {len(rest)} bytes early")
            rest = rest[count:]
    return storage


def _require_digest(found: bytes, digest: Digest) -> None:
    if found != digest.raw:
        raise _DamagedError(f"its bytes hash to {found.hex()}")
