"""Contents that have arrived, and that no name leads to yet: entries of their own until then.

A pull that is killed, and never continued, leaves them. They go with a collection of garbage, when
no pull is under way and they are old enough.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from torchstash.cache.digest import Digest
from torchstash.cache.disk import DiskBackend, DiskMaintenance, LinkedEntry
from torchstash.content_store.pull_mark import MARKS_PREFIX, PullMark, is_any_under_way

ARRIVALS_PREFIX: Final = "pulls/"


def arrival_key(digest: Digest) -> str:
    """The key of contents for as long as no name leads to them."""
    return ARRIVALS_PREFIX + digest.hex


class Arrivals:
    """Those of a store: of this pull, and of others before it. Raises what the engine raises.

    While there are any, a mark in the store says that a pull is under way.
    """

    def __init__(self, store: DiskBackend) -> None:
        self._store = store
        self._mark = PullMark(store)
        self._lock = threading.Lock()
        self._keys = set(store.keys(ARRIVALS_PREFIX))
        if self._keys:
            self._mark.show()

    def add(self, digest: Digest) -> None:
        """These contents are, or soon will be, an entry of their own."""
        self._mark.show()
        with self._lock:
            self._keys.add(arrival_key(digest))

    def going_on(self) -> None:
        """To be called now and then while a pull that has arrivals goes on."""
        self._mark.show()

    def release(self, entry: LinkedEntry) -> None:
        """A name leads to these contents: they need no entry of their own any more."""
        if not self._keys:
            return
        for each in entry.contents:
            key = arrival_key(each.digest)
            if key in self._keys:
                self._store.delete(key)
                self._keys.discard(key)

    def close(self) -> None:
        """The pull has ended; what is left waits for the next one."""
        self._mark.remove()


@dataclass(frozen=True, slots=True)
class AbandonedArrivals:
    """Keys of what pulls have left behind: contents that arrived, and marks."""

    contents: Sequence[str] = ()
    marks: Sequence[str] = ()


def abandoned_arrivals(
    store: DiskBackend, engine: DiskMaintenance, older_than_unix_seconds: float
) -> AbandonedArrivals:
    """What arrived before then for pulls that are gone; nothing, while any pull is under way.

    One that begins at this moment may count on what goes: it finds that out as it commits, and
    fetches again.
    """
    marks = list(store.keys(MARKS_PREFIX))
    if is_any_under_way(marks, older_than_unix_seconds):
        return AbandonedArrivals()
    older_than_unix_ns = int(older_than_unix_seconds * 1e9)
    return AbandonedArrivals(engine.keys_written_before(ARRIVALS_PREFIX, older_than_unix_ns), marks)
