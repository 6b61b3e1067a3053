"""A content store on this machine as the source of a transfer."""

from collections.abc import Iterator, Sequence

from typing_extensions import override

from torchstash.cache.digest import Digest
from torchstash.cache.disk import DiskBackend, LinkedContents, LinkedEntry
from torchstash.content_store.engine_errors import store_errors
from torchstash.content_store.movement.layout import PART_BYTES
from torchstash.content_store.movement.local_contents import LocalContents
from torchstash.content_store.movement.source import Source


class StoreSource(Source):
    """What is in `store`, read by its engine."""

    def __init__(self, store: DiskBackend) -> None:
        self._store = store
        self._contents = LocalContents(store)
        self.place = f"the content store at {store.path}"

    @override
    def keys(self, prefix: str) -> Iterator[str]:
        with store_errors(self._store.path):
            yield from self._store.keys(prefix)

    @override
    def find(self, keys: Sequence[str], *, again: bool = False) -> dict[str, LinkedEntry]:
        with store_errors(self._store.path):
            found = self._store.linked(keys)
        return {key: entry for key, entry in zip(keys, found, strict=True) if entry is not None}

    @override
    def small(self, wanted: Sequence[LinkedContents], wanted_by: str) -> dict[Digest, bytes]:
        found = {}
        for each in wanted:
            with self._contents.mapped(each, wanted_by) as view:
                self._contents.check(each, view, wanted_by)
                found[each.digest] = bytes(view)
        return found

    @override
    def size_bytes(self, digest: Digest) -> int | None:
        with store_errors(self._store.path):
            blob = self._store.locate_contents(digest)
        return None if blob is None else blob.size_bytes

    @override
    def parts(self, wanted: LinkedContents, first: int, wanted_by: str) -> Iterator[memoryview]:
        with self._contents.mapped(wanted, wanted_by) as view:
            for offset_bytes in range(first * PART_BYTES, wanted.size_bytes, PART_BYTES):
                part = view[offset_bytes : offset_bytes + PART_BYTES]
                try:
                    yield part
                finally:
                    part.release()
