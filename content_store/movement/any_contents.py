"""A source in which whatever it has under a digest counts as a storage without a name."""

from collections.abc import Iterator, Sequence

from typing_extensions import override

from torchstash.cache.digest import Digest
from torchstash.cache.disk import LinkedContents, LinkedEntry
from torchstash.content_store.movement.source import Source
from torchstash.content_store.names import STORAGE_PREFIX


class AnyContents(Source):
    """As `source`; its contents are found under `storages/<digest>` as well, by themselves.

    Their size, which no record tells, is what the source has, and is checked with the digest.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.place = source.place
        self.at_once = source.at_once
        self._sizes_bytes: dict[Digest, int] = {}

    @override
    def keys(self, prefix: str) -> Iterator[str]:
        return self._source.keys(prefix)

    @override
    def find(self, keys: Sequence[str], *, again: bool = False) -> dict[str, LinkedEntry]:
        found = self._source.find(keys, again=again)
        for key in keys:
            if key not in found and key.startswith(STORAGE_PREFIX):
                digest = Digest.from_hex(key.removeprefix(STORAGE_PREFIX))
                size_bytes = self._sizes_bytes.pop(digest, None) or self.size_bytes(digest)
                if size_bytes is not None:
                    if again:
                        self._sizes_bytes[digest] = size_bytes
                    found[key] = LinkedEntry(None, (LinkedContents(digest, size_bytes, ()),))
        return found

    @override
    def small(self, wanted: Sequence[LinkedContents], wanted_by: str) -> dict[Digest, bytes]:
        return self._source.small(wanted, wanted_by)

    @override
    def parts(
        self, wanted: LinkedContents, first: int, wanted_by: str
    ) -> Iterator[bytes | memoryview]:
        return self._source.parts(wanted, first, wanted_by)

    @override
    def size_bytes(self, digest: Digest) -> int | None:
        return self._source.size_bytes(digest)
