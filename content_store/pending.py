"""What the ranks of a distributed checkpoint have written and no checkpoint leads to yet.

The contents of a store go with the last entry that leads to them. So each rank keeps what it
wrote under a pending entry, until the coordinator has committed the checkpoint that links it all.
A rank or a coordinator that dies leaves such entries behind. They are no checkpoint, nothing lists
them, and the next checkpoint that is finished forgets those of processes that are gone, and those
that are old enough wherever they come from.

    pending/<when, in seconds since 1970>/<process>/<32 hex>    a serialized SnapshotManifest
"""

import uuid
from collections.abc import Iterable
from typing import Final

from torchstash.cache.disk import DiskBackend
from torchstash.content_store.process_identity import is_gone, own_identity

PENDING_PREFIX: Final = "pending/"


def new_pending_key(now_unix_seconds: float) -> str:
    """A key that nobody else has, in the order of time."""
    return f"{PENDING_PREFIX}{int(now_unix_seconds):012d}/{own_identity()}/{uuid.uuid4().hex}"


def forget(backend: DiskBackend, keys: Iterable[str]) -> None:
    """Deletes these entries, where they are still there, and what only they lead to.

    Raises:
        BackendError: The store cannot be written.
    """
    for key in keys:
        backend.delete(key)


def abandoned(backend: DiskBackend, older_than_unix_seconds: float) -> list[str]:
    """The entries of processes that are gone, and older ones.

    Raises:
        BackendError: The store cannot be read.
    """
    end = f"{PENDING_PREFIX}{max(0, int(older_than_unix_seconds)):012d}"
    return [
        key
        for key in backend.keys(PENDING_PREFIX)
        if key < end or is_gone(key.removeprefix(PENDING_PREFIX).split("/")[1])
    ]
