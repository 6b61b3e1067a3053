"""What the ranks of a distributed checkpoint have written and no checkpoint leads to yet.

The contents of a store go with the last entry that leads to them. So each rank keeps what it
wrote under a pending entry, until the coordinator has committed the checkpoint that links it all.
A rank or a coordinator that dies leaves such entries behind. They are no checkpoint, nothing lists
them, and the next checkpoint that is finished forgets those that are old enough.

    pending/<when, in seconds since 1970>/<32 hex>      a serialized SnapshotManifest
"""

import uuid
from collections.abc import Iterable
from typing import Final

from torchstash.cache.disk import DiskBackend

PENDING_PREFIX: Final = "pending/"


def new_pending_key(now_unix_seconds: float) -> str:
    """A key that nobody else has, in the order of time."""
    return f"{PENDING_PREFIX}{int(now_unix_seconds):012d}/{uuid.uuid4().hex}"


def forget(backend: DiskBackend, keys: Iterable[str]) -> None:
    """Deletes these entries, where they are still there, and what only they lead to.

    Raises:
        BackendError: The store cannot be written.
    """
    for key in keys:
        backend.delete(key)


def forget_older_than(backend: DiskBackend, unix_seconds: float) -> int:
    """Deletes the entries of ranks that began before then; how many there were.

    Raises:
        BackendError: The store cannot be written.
    """
    end = f"{PENDING_PREFIX}{max(0, int(unix_seconds)):012d}"
    old = [key for key in backend.keys(PENDING_PREFIX) if key < end]
    forget(backend, old)
    return len(old)
