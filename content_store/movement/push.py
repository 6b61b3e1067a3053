"""From a store to a remote: what the remote lacks, and then the names that lead there.

In this order, for some hundred names at a time:

1. Look up what each name leads to, and what the remote has recorded of it.
2. Put the values that are missing: contents, or their parts. Contents are hashed before any byte of
   them goes out.
3. Put the records of names that are new, or lead to something else now.

So a record leads to what is there, whenever its pusher dies, and whoever else pushes: values are
immutable, and of two records of one name either is whole. `presence.py` tells what is believed to
be there already.
"""

import threading
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from torchstash.cache.digest import Digest
from torchstash.cache.disk import LinkedEntry
from torchstash.content_store.errors import StoreUnavailableError
from torchstash.content_store.movement.batches import batched
from torchstash.content_store.movement.layout import (
    PART_BYTES,
    described,
    parts_of,
    record_key,
)
from torchstash.content_store.movement.local_contents import LocalContents
from torchstash.content_store.movement.presence import Item, Presence
from torchstash.content_store.movement.progress import Tally
from torchstash.content_store.movement.record import encode_record
from torchstash.content_store.movement.remote import Remote
from torchstash.content_store.movement.source import OvertakenError
from torchstash.content_store.movement.store_source import StoreSource
from torchstash.content_store.movement.threads import Crew

_NAMES_AT_ONCE = 512
_ATTEMPTS = 10
# Small values that are put together, where the engine takes them so.
_LOAD_BYTES = 4 << 20
_LOAD_VALUES = 128


class Pusher:
    """Moves entries of a store to `remote`.

    Args:
        source: Where from.
        contents: Its bytes.
        remote: Where to.
        tally: Counts.
        executor: Its threads hold a value of up to `PART_BYTES` each, or two with `verify`.
        verify: Read what the remote has, and put it again where it is damaged.
    """

    def __init__(
        self,
        source: StoreSource,
        contents: LocalContents,
        remote: Remote,
        tally: Tally,
        executor: ThreadPoolExecutor,
        *,
        verify: bool,
    ) -> None:
        self._source = source
        self._contents = contents
        self._remote = remote
        self._tally = tally
        self._crew = Crew(executor)
        self._presence = Presence(remote, verify=verify)
        # What this push knows to be there.
        self._done: set[Digest] = set()
        # Large contents that were hashed, or that a thread hashes while it holds the lock.
        self._hashed: set[Digest] = set()
        self._hashing: dict[Digest, threading.Lock] = defaultdict(threading.Lock)

    def push(self, keys: Sequence[str]) -> list[str]:
        """Move these entries; those that are there now: all but what is gone meanwhile.

        Raises:
            CorruptStoreError: What the store has is damaged; names it.
            PlaceUnavailableError: The remote failed. What it has stays, and is used the next time.
        """
        return [key for batch in batched(keys, _NAMES_AT_ONCE) for key in self._push_some(batch)]

    def _push_some(self, keys: Sequence[str]) -> list[str]:
        for _ in range(_ATTEMPTS):
            # A name that is gone meanwhile is none of the store's any more.
            entries = self._source.find(keys)
            try:
                self._publish(entries)
            except OvertakenError:
                continue
            return list(entries)
        raise StoreUnavailableError(
            f"what was to be moved from {self._source.place} was replaced at each of {_ATTEMPTS} "
            "attempts; try again"
        )

    def _publish(self, entries: dict[str, LinkedEntry]) -> None:
        records = {key: encode_record(key, entry) for key, entry in entries.items()}
        theirs = self._remote.get_many(map(record_key, records), "records of names")
        new = {key: data for key, data in records.items() if theirs.get(record_key(key)) != data}
        trusted = {
            each.digest for key, e in entries.items() if key not in new for each in e.contents
        }
        items = list(self._items(entries))
        wanted = {each.digest for _, each, _ in items}
        loads = _loads(items) if self._remote.takes_many else [[item] for item in items]
        self._crew.run(lambda load: self._put_missing(load, trusted), loads)
        self._done |= wanted
        for batch in batched(list(new), _LOAD_VALUES):
            self._remote.put_many({record_key(key): new[key] for key in batch}, described(batch[0]))
            self._tally.named(published=len(batch))
        self._tally.named(unchanged=len(entries) - len(new))

    def _items(self, entries: dict[str, LinkedEntry]) -> list[Item]:
        wanted = {
            each.digest: (each, key)
            for key, entry in entries.items()
            for each in entry.contents
            if each.digest not in self._done
        }
        return [
            (part, each, described(key))
            for each, key in wanted.values()
            for part in parts_of(each.digest, each.size_bytes)
        ]

    def _put_missing(self, load: Sequence[Item], trusted: set[Digest]) -> None:
        values: dict[str, bytes] = {}
        there = self._presence.there(load, trusted, self._read)
        for item in load:
            part = item[0]
            if part.key in there:
                self._tally.present(part.size_bytes)
                continue
            values[part.key] = self._read(item)
            self._tally.missing(part.size_bytes)
        if len(values) == 1:
            for key, data in values.items():
                self._remote.put(key, data, load[0][2])
        elif values:
            self._remote.put_many(values, load[0][2])
        for part, each, _ in load:
            if part.key in values:
                self._tally.moved(each.digest, part.size_bytes)

    def _read(self, item: Item) -> bytes:
        part, each, wanted_by = item
        with self._contents.mapped(each, wanted_by) as view:
            if each.size_bytes <= PART_BYTES:
                self._contents.check(each, view, wanted_by)
            else:
                # Once, before the first part of them goes out: nobody would look at it again.
                with self._hashing[each.digest]:
                    if each.digest not in self._hashed:
                        self._contents.check(each, view, wanted_by)
                        self._hashed.add(each.digest)
            return bytes(view[part.offset_bytes : part.offset_bytes + part.size_bytes])


def _loads(items: Sequence[Item]) -> list[list[Item]]:
    """Small values together; others by themselves."""
    loads: list[list[Item]] = []
    small: list[Item] = []
    small_bytes = 0
    for item in items:
        size_bytes = item[0].size_bytes
        if small and (small_bytes + size_bytes > _LOAD_BYTES or len(small) == _LOAD_VALUES):
            loads.append(small)
            small, small_bytes = [], 0
        small.append(item)
        small_bytes += size_bytes
    return [*loads, small] if small else loads
