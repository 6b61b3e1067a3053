"""What a salvage is told of a store by whoever knows what its keys mean."""

from collections.abc import Sequence
from typing import Protocol

from torchstash.cache.digest import Digest


class Hints(Protocol):
    """Nothing that is asked raises, whatever bytes it is asked of."""

    def contents_of(self, key: str, note: bytes | None) -> Digest | None:
        """Which contents an entry must name, by its key or its note. None: they do not say."""
        ...

    def links_of(self, key: str, data: bytes) -> Sequence[Digest] | None:
        """What else an entry with these contents needs. None: its links are believed."""
        ...

    def needs_data(self, key: str) -> bool:
        """Whether `links_of` is to be asked of this key."""
        ...

    def key_of_nameless(self, digest: Digest) -> str | None:
        """Under which key to keep contents that have lost their names. None: not at all."""
        ...
