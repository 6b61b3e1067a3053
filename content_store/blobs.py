"""Storages made from what the disk engine keeps.

A file is mapped copy-on-write (private): pages are read when they are touched, and
writing to the storage never reaches the store. Its size is checked before it is
mapped, because touching a page behind the end of a file ends the process. Values
that the catalogue holds itself are copied into fresh memory.
"""

import os
from io import FileIO
from pathlib import Path
from typing import cast

import torch

from torchstash.cache.digest import Digest
from torchstash.cache.disk import Blob
from torchstash.content_store.devices import CPU
from torchstash.content_store.errors import CorruptStorageError
from torchstash.content_store.hashing import cpu
from torchstash.content_store.memory import empty_storage, writable

# What tells a file from another that takes its place: inode, size, time of modification.
_Identity = tuple[int, int, int]


class BlobLoader:
    """Loads storages, each checked against its digest unless `verify` is False.

    A file is hashed when it is first loaded, and again only when its inode, size or
    time of modification has changed since. Thread-safe.
    """

    def __init__(self, *, verify: bool) -> None:
        self._verify = verify
        self._verified: dict[Digest, _Identity] = {}

    def load(self, blob: Blob, digest: Digest, wanted_by: str) -> torch.UntypedStorage:
        """A fresh storage on the CPU with the contents of `blob`.

        Args:
            blob: Where the engine keeps the contents.
            digest: What they must hash to.
            wanted_by: For the message: whose storage this is.

        Raises:
            CorruptStorageError: The bytes are absent, or are not those with this digest.
        """
        try:
            if blob.digest != digest:
                raise _DamagedError(f"the catalogue has {blob.digest.hex} in its place")  # noqa: TRY301 - one place makes the message
            storage, identity = _loaded(blob)
            if self._verify and (identity is None or self._verified.get(digest) != identity):
                _check(storage, digest)
        except (_DamagedError, OSError) as error:
            raise CorruptStorageError(
                f"the storage {digest.hex} of {wanted_by} is damaged: {error}; "
                "write the tensor again"
            ) from error
        if self._verify and identity is not None:
            self._verified[digest] = identity
        return storage


class _DamagedError(Exception):
    """Says what was found, for the message of the public error."""


def _loaded(blob: Blob) -> tuple[torch.UntypedStorage, _Identity | None]:
    if blob.data is not None:
        if len(blob.data) != blob.size_bytes:
            raise _DamagedError(f"{len(blob.data)} of {blob.size_bytes} bytes are left")
        storage = empty_storage(blob.size_bytes, CPU)
        writable(storage)[:] = blob.data
        return storage, None
    if blob.path is None:
        raise _DamagedError("the catalogue has neither its bytes nor a file")
    with FileIO(blob.path) as file:
        status = os.fstat(file.fileno())
        if status.st_size != blob.size_bytes:
            raise _DamagedError(f"{blob.path} has {status.st_size} of {blob.size_bytes} bytes")
        storage = _mapped(blob.path, file, blob.size_bytes)
    return storage, (status.st_ino, status.st_size, status.st_mtime_ns)


def _mapped(path: Path, file: FileIO, size_bytes: int) -> torch.UntypedStorage:
    """The file as a private mapping; read into memory where there can be none."""
    if size_bytes > 0:
        try:
            mapping = torch.UntypedStorage.from_file(str(path), False, size_bytes)
            return cast("torch.UntypedStorage", mapping)
        except (RuntimeError, UnicodeEncodeError):
            # This process has no more mappings, the file system has none at all, or the
            # path is not UTF-8, which PyTorch insists on.
            pass
    storage = empty_storage(size_bytes, CPU)
    rest = writable(storage)
    while rest:
        count = file.readinto(rest)
        if not count:
            raise _DamagedError(f"{path} ended {len(rest)} bytes early")
        rest = rest[count:]
    return storage


def _check(storage: torch.UntypedStorage, digest: Digest) -> None:
    found = cpu.digest(storage)
    if found != digest:
        raise _DamagedError(f"its bytes hash to {found.hex}")
