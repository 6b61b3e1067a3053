"""What the ranks of a distributed checkpoint have written and no checkpoint leads to yet.

The contents of a store go with the last entry that leads to them. So each rank keeps what it
wrote under a pending entry, until the coordinator has committed the checkpoint that links it all.
A rank or a coordinator that dies leaves such entries behind. They are no checkpoint, nothing lists
them, and the next checkpoint that is finished forgets those of processes that are gone, and those
that are old enough wherever they come from.

    pending/<when>/<process>/<32 hex>    a serialized SnapshotManifest (`process_key.py`)
"""

from collections.abc import Iterable
from typing import Final

from torchstash.cache.disk import DiskBackend
from torchstash.content_store.process_identity import is_gone
from torchstash.content_store.process_key import earliest_key, identity_in, new_process_key

PENDING_PREFIX: Final = "pending/"


def new_pending_key(now_unix_seconds: float) -> str:
    """A key that nobody else has, in the order of time."""
    return new_process_key(PENDING_PREFIX, now_unix_seconds)


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
    end = earliest_key(PENDING_PREFIX, older_than_unix_seconds)
    return [
        key
        for key in backend.keys(PENDING_PREFIX)
        if key < end or is_gone(identity_in(PENDING_PREFIX, key))
    ]
