"""A remote as the source of a transfer: what `push` has put there."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from typing_extensions import override

from torchstash.cache.digest import Digest
from torchstash.cache.disk import LinkedContents, LinkedEntry
from torchstash.content_store.errors import (
    CorruptMetadataError,
    CorruptStorageError,
    PlaceUnavailableError,
)
from torchstash.content_store.movement.layout import (
    PART_BYTES,
    Part,
    contents_key,
    described,
    part_key,
    parts_of,
    record_key,
)
from torchstash.content_store.movement.name_index import NameIndex
from torchstash.content_store.movement.record import (
    BadRecordError,
    NewerRecordError,
    decode_record,
)
from torchstash.content_store.movement.remote import Remote
from torchstash.content_store.movement.source import Source

_OF_NOTHING: Final = Digest.of(b"")

PARTS_AHEAD: Final = 3
"""Parts of one contents that are fetched at once, while one more is used."""

# What was found is kept until it is asked for again, as long as it is not too much.
_KEPT_NAMES: Final = 4096
_KEPT_CONTENTS: Final = 16384


class RemoteSource(Source):
    """Reads what `remote` has. The executor that fetches parts is the caller's."""

    def __init__(self, remote: Remote, executor: ThreadPoolExecutor) -> None:
        self._remote = remote
        self._executor = executor
        self._kept: dict[str, LinkedEntry] = {}
        self._indexed: list[str] | None = None
        self.place = remote.place
        if not remote.takes_many:
            self.at_once = 1

    @override
    def keys(self, prefix: str) -> Iterator[str]:
        """One that its index lists may have no record: `find` leaves it out."""
        if self._remote.lists:
            return self._remote.keys(prefix)
        if self._indexed is None:
            self._indexed = NameIndex(self._remote).keys()
        return (key for key in self._indexed if key.startswith(prefix))

    @override
    def find(self, keys: Sequence[str], *, again: bool = False) -> dict[str, LinkedEntry]:
        kept = {key: self._kept.pop(key) for key in keys if key in self._kept}
        records = {key: record_key(key) for key in keys if key not in kept}
        values = self._remote.get_many(records.values(), "records of names")
        found = {
            key: kept[key] if key in kept else self._decoded(key, values[records[key]])
            for key in keys
            if key in kept or records[key] in values
        }
        contents = sum(len(entry.contents) for entry in found.values())
        if again and len(self._kept) + len(found) <= _KEPT_NAMES and contents <= _KEPT_CONTENTS:
            self._kept |= found
        return found

    @override
    def small(self, wanted: Sequence[LinkedContents], wanted_by: str) -> dict[Digest, bytes]:
        keys = {
            part.key: each for each in wanted for part in parts_of(each.digest, each.size_bytes)
        }
        values = self._remote.get_many(keys, wanted_by)
        found = {each.digest: b"" for each in wanted if each.size_bytes == 0}
        return found | {keys[key].digest: value for key, value in values.items()}

    @override
    def size_bytes(self, digest: Digest) -> int | None:
        if digest == _OF_NOTHING:
            return 0
        wanted_by = f"the storage {digest.hex}"
        whole = self._remote.get(contents_key(digest), wanted_by)
        if whole is not None:
            return len(whole)
        number = 0
        # All parts but the last one are of one size, so that the last one tells.
        if self._remote.tells_presence:
            while self._remote.contains(part_key(digest, number + 1), wanted_by):
                number += 1
        while (part := self._remote.get(part_key(digest, number), wanted_by)) is not None:
            if len(part) < PART_BYTES:
                return number * PART_BYTES + len(part)
            number += 1
        return number * PART_BYTES or None

    @override
    def parts(self, wanted: LinkedContents, first: int, wanted_by: str) -> Iterator[bytes]:
        waiting: deque[tuple[Part, Future[bytes | None]]] = deque()
        coming = list(parts_of(wanted.digest, wanted.size_bytes))[first:]
        coming.reverse()
        try:
            while coming or waiting:
                while coming and len(waiting) < PARTS_AHEAD:
                    part = coming.pop()
                    future = self._executor.submit(self._remote.get, part.key, wanted_by)
                    waiting.append((part, future))
                part, future = waiting.popleft()
                data = future.result()
                if data is None or len(data) != part.size_bytes:
                    found = "is missing" if data is None else f"has {len(data)} bytes"
                    raise CorruptStorageError(
                        f"the storage {wanted.digest.hex} of {wanted_by} at {self.place} is "
                        f"damaged: its part {part.key} {found}; push it again with verify=True "
                        "from a store that has it"
                    )
                yield data
        finally:
            for _, future in waiting:
                future.cancel()

    def _decoded(self, key: str, data: bytes) -> LinkedEntry:
        try:
            return decode_record(key, data)
        except NewerRecordError as error:
            raise PlaceUnavailableError(
                f"{described(key)} at {self.place} is a record {error}; use a newer torchstash"
            ) from error
        except BadRecordError as error:
            raise CorruptMetadataError(
                f"what {self.place} records of {described(key)} is damaged: {error}; push it again "
                "from a store that has it"
            ) from error
