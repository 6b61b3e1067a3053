"""Into a store: from a remote, or from another store.

A name appears when all that it leads to is there and hashes to its digest, in one commit. Contents
that arrive before that are entries of their own (`pulls/<digest>`) until it does, and large ones
grow in a file, so that a transfer that was killed goes on where it was.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from torchstash.cache.blake3_hasher import hash_whole
from torchstash.cache.digest import Digest
from torchstash.cache.disk import DiskBackend, LinkedContents, LinkedEntry, Put
from torchstash.cache.errors import DigestConflictError, MissingLinkError
from torchstash.content_store.arrivals import Arrivals, arrival_key
from torchstash.content_store.engine_errors import store_errors
from torchstash.content_store.errors import CorruptStorageError, StoreUnavailableError
from torchstash.content_store.movement.batches import batched
from torchstash.content_store.movement.damage import damaged_there
from torchstash.content_store.movement.large_contents import LargeContents
from torchstash.content_store.movement.layout import PART_BYTES, described
from torchstash.content_store.movement.progress import Tally
from torchstash.content_store.movement.record_check import require_sound
from torchstash.content_store.movement.source import OvertakenError, Source
from torchstash.content_store.movement.threads import Crew

WINDOW_BYTES: Final = 64 << 20
"""What a pull holds in memory of contents, whatever their sizes."""

_NAMES_AT_ONCE: Final = 512
_ATTEMPTS: Final = 10
# Each of them has up to `PARTS_AHEAD` parts on their way.
_LARGE_AT_ONCE: Final = 2
# Small contents that are committed together.
_LOAD_BYTES: Final = WINDOW_BYTES // 2
# Those that are asked for together; each of the threads has one such request.
_REQUEST_BYTES: Final = 4 << 20


class Puller:
    """Moves entries of `source` into `store`.

    Args:
        source: Where from.
        store: Where to.
        tally: Counts.
        executor: Fetches.
    """

    def __init__(
        self, source: Source, store: DiskBackend, tally: Tally, executor: ThreadPoolExecutor
    ) -> None:
        self._source = source
        self._store = store
        self._tally = tally
        self._crew = Crew(executor)
        self._location = store.path
        with store_errors(store.path):
            self._arrivals = Arrivals(store)
        self._large = LargeContents(source, store, self._arrivals, tally)

    def pull(self, keys: Sequence[str]) -> None:
        """Move these entries, in this order.

        Raises:
            CorruptStoreError: What the source has is damaged; names it. Nothing of it is kept.
            PlaceUnavailableError: The source failed.
            StoreUnavailableError: The store cannot be written.
        """
        try:
            for batch in batched(keys, _NAMES_AT_ONCE):
                self._pull_some(batch)
        finally:
            with store_errors(self._location):
                self._arrivals.close()

    def _pull_some(self, batch: Sequence[str]) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                self._pull(batch)
                break
            except (MissingLinkError, OvertakenError) as error:
                # Others deleted contents between a look-up and the commit.
                if attempt == _ATTEMPTS - 1:
                    raise StoreUnavailableError(
                        f"what was to be moved from {self._source.place} to {self._location} "
                        f"was replaced at each of {_ATTEMPTS} attempts; try again"
                    ) from error

    def _pull(self, keys: Sequence[str]) -> None:
        entries = self._source.find(keys)
        for key, entry in entries.items():
            require_sound(key, entry, self._source.place)
        wanted = {each.digest: (each, key) for key, e in entries.items() for each in e.contents}
        try:
            with store_errors(self._location):
                mine = dict(zip(keys, self._store.linked(keys), strict=True))
                lacking = self._store.lacks(each for each, _ in wanted.values())
        except StoreUnavailableError as error:
            if isinstance(error.__cause__, DigestConflictError):
                raise CorruptStorageError(
                    f"{self._source.place} contradicts the store: {error.__cause__}"
                ) from error
            raise
        for digest, (each, _) in wanted.items():
            count = self._tally.missing if digest in lacking else self._tally.present
            count(each.size_bytes)
        large = [
            pair
            for digest, pair in wanted.items()
            if digest in lacking and pair[0].size_bytes > PART_BYTES
        ]
        with store_errors(self._location):
            for each, _ in large:
                self._arrivals.add(each.digest)
        with ThreadPoolExecutor(_LARGE_AT_ONCE, "torchstash-pull") as executor:
            crew = Crew(executor)
            crew.run(lambda pair: self._large.keep(*pair, crew), large)
        lacking -= {each.digest for each, _ in large}
        self._pull_small(entries, mine, lacking)

    def _pull_small(
        self,
        entries: dict[str, LinkedEntry],
        mine: dict[str, LinkedEntry | None],
        lacking: set[Digest],
    ) -> None:
        """Fetch what else is missing, and commit names, as many at once as fit."""
        load: dict[Digest, tuple[LinkedContents, str]] = {}
        load_bytes = 0
        names: dict[str, LinkedEntry] = {}
        for key, entry in entries.items():
            needed = [each for each in entry.contents if each.digest in lacking]
            before = mine[key]
            if not needed and before is not None and _same(before, entry):
                self._release([entry])
                self._tally.named(unchanged=1)
                continue
            for each in needed:
                if load_bytes + each.size_bytes > _LOAD_BYTES and load:
                    self._commit(names, self._fetched(load))
                    names, load, load_bytes = {}, {}, 0
                load[each.digest] = (each, key)
                load_bytes += each.size_bytes
                lacking.discard(each.digest)
            names[key] = entry
        self._commit(names, self._fetched(load))

    def _fetched(self, load: dict[Digest, tuple[LinkedContents, str]]) -> dict[Digest, bytes]:
        requests: list[list[tuple[LinkedContents, str]]] = [[]]
        request_bytes = 0
        for pair in load.values():
            request_bytes += pair[0].size_bytes
            if requests[-1] and (
                request_bytes > _REQUEST_BYTES or len(requests[-1]) == self._source.at_once
            ):
                requests.append([])
                request_bytes = pair[0].size_bytes
            requests[-1].append(pair)
        found: dict[Digest, bytes] = {}
        for values in self._crew.run(self._request, requests):
            found.update(values)
        return found

    def _request(self, request: Sequence[tuple[LinkedContents, str]]) -> dict[Digest, bytes]:
        if not request:
            return {}
        values = self._source.small([each for each, _ in request], described(request[0][1]))
        for each, key in request:
            data = values.get(each.digest)
            if data is None:
                raise damaged_there(each, key, self._source.place, "it is missing")
            if len(data) != each.size_bytes or hash_whole(data) != each.digest.raw:
                found = f"{len(data)} bytes that have another digest"
                raise damaged_there(each, key, self._source.place, found)
            self._tally.moved(each.digest, len(data))
        return values

    def _commit(self, names: dict[str, LinkedEntry], fetched: dict[Digest, bytes]) -> None:
        """Names whose contents are all there or fetched; what else was fetched waits."""
        if not names and not fetched:
            return
        with store_errors(self._location):
            try:
                with self._store.batch() as batch:
                    for key, entry in names.items():
                        # What is linked comes before what links it, and the named ones last.
                        for each in reversed(entry.contents[1:]):
                            data = fetched.pop(each.digest, None)
                            if data is not None or each.links:
                                batch.add(Put(None, data, each.digest, links=each.links))
                        root = entry.contents[0]
                        data = fetched.pop(root.digest, None)
                        batch.add(Put(key, data, root.digest, entry.note, root.links))
                    for digest, data in fetched.items():
                        self._arrivals.add(digest)
                        batch.add(Put(arrival_key(digest), data, digest))
            except MissingLinkError as error:
                raise OvertakenError(str(error)) from error
        self._release(names.values())
        self._tally.named(published=len(names))

    def _release(self, entries: Iterable[LinkedEntry]) -> None:
        with store_errors(self._location):
            for entry in entries:
                self._arrivals.release(entry)


def _same(mine: LinkedEntry, theirs: LinkedEntry) -> bool:
    """Whether a name is as it should be, its contents being there."""
    return mine.note == theirs.note and mine.contents[0] == theirs.contents[0]
