"""Contents that have arrived, and that no name leads to yet: entries of their own until then."""

from typing import Final

from torchstash.cache.digest import Digest
from torchstash.cache.disk import DiskBackend, LinkedContents, LinkedEntry
from torchstash.content_store.errors import CorruptStorageError
from torchstash.content_store.movement.layout import described

ARRIVALS_PREFIX: Final = "pulls/"


def arrival_key(digest: Digest) -> str:
    """The key of contents for as long as no name leads to them."""
    return ARRIVALS_PREFIX + digest.hex


class Arrivals:
    """Those of a store: of this pull, and of others before it. Raises what the engine raises."""

    def __init__(self, store: DiskBackend) -> None:
        self._store = store
        self._keys = set(store.keys(ARRIVALS_PREFIX))

    def add(self, digest: Digest) -> None:
        """These contents are, or soon will be, an entry of their own."""
        self._keys.add(arrival_key(digest))

    def release(self, entry: LinkedEntry) -> None:
        """A name leads to these contents: they need no entry of their own any more."""
        if not self._keys:
            return
        for each in entry.contents:
            key = arrival_key(each.digest)
            if key in self._keys:
                self._store.delete(key)
                self._keys.discard(key)


def damaged_there(wanted: LinkedContents, key: str, place: str, found: str) -> CorruptStorageError:
    """The error for contents that did not arrive as they should."""
    return CorruptStorageError(
        f"the storage {wanted.digest.hex} of {described(key)} at {place} is damaged: {found}; "
        "push it again with verify=True from a store that has it"
    )
