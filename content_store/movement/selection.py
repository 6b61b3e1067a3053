"""Which names are moved."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from torchstash.content_store.errors import NotInStoreError
from torchstash.content_store.movement.batches import batched
from torchstash.content_store.movement.layout import NAME_PREFIXES
from torchstash.content_store.movement.source import Source
from torchstash.content_store.names import (
    SNAPSHOT_PREFIX,
    TENSOR_PREFIX,
    snapshot_key,
    tensor_key,
)

_NAMES_AT_ONCE: Final = 512


@dataclass(frozen=True, slots=True)
class Selection:
    """Tensors and snapshots of these `names`, and those whose name begins with one of `prefixes`.

    With neither: everything, storages without a name included.
    """

    names: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()

    @classmethod
    def of(cls, names: Iterable[str] | None, prefixes: Iterable[str] | None) -> "Selection":
        """From arguments of a caller; None: none of them."""
        return cls(tuple(names or ()), tuple(prefixes or ()))

    def keys(self, source: Source) -> list[str]:
        """The store's keys that are meant, each once.

        Raises:
            NotInStoreError: The source has nothing under one of the names.
            InvalidNameError: A name is not 1 byte to 1 KiB of UTF-8.
            PlaceUnlistableError: The source cannot list, and would have to.
        """
        if not self.names and not self.prefixes:
            return [key for prefix in NAME_PREFIXES for key in source.keys(prefix)]
        found = dict.fromkeys(self._named(source))
        for prefix in self.prefixes:
            for kind in (TENSOR_PREFIX, SNAPSHOT_PREFIX):
                found.update(dict.fromkeys(source.keys(kind + prefix)))
        return list(found)

    def _named(self, source: Source) -> Iterator[str]:
        for names in batched(self.names, _NAMES_AT_ONCE):
            pairs = [(tensor_key(name), snapshot_key(name)) for name in names]
            entries = source.find([key for pair in pairs for key in pair], again=True)
            for name, pair in zip(names, pairs, strict=True):
                present = [key for key in pair if key in entries]
                if not present:
                    raise NotInStoreError(
                        f"no tensor and no snapshot {name!r} in {source.place}; check the name"
                    )
                yield from present
