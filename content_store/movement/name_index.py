"""The names that a place has, kept there by `get` and `put` alone, where its engine cannot list.

    store/1/names                  a set of numbers: which shards there are
    store/1/names/<number>         a set of the store's keys whose digest falls there, 00 to 3f
    store/1/names/.../spare        the same value, put before it, where a put may tear

A push unites each value with what it has moved, when all records are there: it reads the value,
puts the union, reads it again, and begins anew until its own are in. Nothing puts on a condition.
So what may be lost, and no more: the names that another push adds between this one's reading and
its putting, if that other one had read back before. They are left out until somebody pushes them
again; their records are not touched, and they can be asked for by name all the time.

A name in the index is a hint: only one that has a record counts. A value that is damaged is an
error, and the next push that has names in it mends it (docs/adr/0040-an-index-of-names.md).
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from typing import Final

from torchstash.cache.digest import Digest
from torchstash.content_store.errors import (
    CorruptMetadataError,
    CorruptStorageError,
    PlaceUnavailableError,
    PlaceUnlistableError,
)
from torchstash.content_store.movement.batches import batched
from torchstash.content_store.movement.layout import (
    INDEX_KEY,
    NAME_PREFIXES,
    PART_BYTES,
    record_key,
    shard_key,
    spare_key,
)
from torchstash.content_store.movement.name_set import (
    BadNameSetError,
    NewerNameSetError,
    decode_name_set,
    encode_name_set,
)
from torchstash.content_store.movement.remote import Remote
from torchstash.content_store.movement.threads import Crew

_SHARDS: Final = 64
_SHARDS_AT_ONCE: Final = 8
_NAMES_AT_ONCE: Final = 512
# Each of so many pushers that begin at once gets its names in at one of so many attempts.
_ATTEMPTS: Final = 32
_MISSING: Final = "missing"
_WANTED: Final = "the index of names"


class NameIndex:
    """That of `remote`. Thread-safe."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def is_there(self) -> bool:
        """Whether anybody has begun one."""
        return self._found(INDEX_KEY)[1] != _MISSING

    def add(self, keys: Iterable[str], executor: Executor, *, verify: bool = False) -> None:
        """Have these keys of a store in it.

        Args:
            keys: What has a record by now.
            executor: Each of its threads holds a value or two, of up to 8 MiB.
            verify: Make anew what is damaged, where nothing is to be added too.

        Raises:
            PlaceUnlistableError: It is full: 8 MiB of names in one shard.
            PlaceUnavailableError: The remote failed, or others wrote at each attempt.
        """
        shards: dict[str, set[str]] = {}
        for key in keys:
            shards.setdefault(shard_of(key), set()).add(key)
        if not shards:
            return
        numbers, damage = self._found(INDEX_KEY)
        known = set(shards) | (numbers or set())
        if verify or damage is not None:
            # The root may have been lost, and the shards not.
            known |= self._present_shards()
        if verify:
            for shard in known:
                shards.setdefault(shard, set())
        Crew(executor).run(lambda pair: self._unite(shard_key(pair[0]), pair[1]), shards.items())
        if damage is not None or known != numbers:
            # Now that they are there.
            self._unite(INDEX_KEY, known)

    def keys(self, prefix: str = "") -> list[str]:
        """The keys in it that begin with `prefix`, in order. One may have no record.

        Raises:
            PlaceUnlistableError: There is no index.
            CorruptMetadataError: A part of it is damaged.
        """
        numbers, damage = self._found(INDEX_KEY)
        if damage == _MISSING:
            raise PlaceUnlistableError(
                f"{self._remote.place} cannot list what it holds, and has no index of names, so "
                "that all names or those with a prefix cannot be asked for; give the names, or "
                "push there again, which makes the index"
            )
        shards = sorted(map(shard_key, self._sound(INDEX_KEY, numbers, damage)))
        found: list[str] = []
        for some in batched(shards, _SHARDS_AT_ONCE):
            values = self._values(some)
            for key in some:
                names = self._sound(key, *self._found(key, values.get(key)))
                found.extend(name for name in names if name.startswith(prefix))
        return sorted(found, key=str.encode)

    def _unite(self, key: str, texts: set[str]) -> None:
        for _ in range(_ATTEMPTS):
            theirs, damage = self._found(key)
            if damage is None and theirs is not None and texts <= theirs:
                return
            data = encode_name_set(key, texts | (theirs or set()))
            if len(data) > PART_BYTES:
                raise PlaceUnlistableError(
                    f"the index of names at {self._remote.place} is full: {key} would have "
                    f"{len(data)} bytes; everything was moved, and can be pulled by its name"
                )
            if self._remote.may_tear:
                self._remote.put(spare_key(key), data, _WANTED)
            self._remote.put(key, data, _WANTED)
        raise PlaceUnavailableError(
            f"the index of names at {self._remote.place} was written by others at each of "
            f"{_ATTEMPTS} attempts; everything was moved, and can be pulled by its name; push "
            "again to have it listed"
        )

    def _present_shards(self) -> set[str]:
        found: set[str] = set()
        for some in batched(sorted(_NUMBERS), _SHARDS_AT_ONCE):
            keys = {shard_key(number): number for number in some}
            try:
                found |= {keys[key] for key in self._remote.present(keys, _WANTED)}
            except CorruptStorageError:
                found |= set(some)  # One of them is there, and damaged: each is looked at.
        return found

    def _sound(self, key: str, texts: set[str] | None, damage: str | None) -> set[str]:
        if texts is None:
            raise CorruptMetadataError(
                f"the index of names at {self._remote.place} is damaged: {key} is {damage}; push "
                "again, with verify=True, from the stores that have names there, which makes it "
                "anew; meanwhile give the names"
            )
        return texts

    def _found(self, key: str, data: bytes | None = None) -> tuple[set[str] | None, str | None]:
        """The set under a key, read if need be, or the spare one; and what is wrong with it."""
        damage: str | None = None
        for candidate in (key, spare_key(key)):
            try:
                value = self._remote.get(candidate, _WANTED) if data is None else data
                data = None
                if value is not None:
                    return self._checked(key, value), damage
                if damage is None:
                    return None, _MISSING
            except CorruptStorageError:
                damage = damage or "damaged, as its engine found"
            except BadNameSetError as error:
                damage = damage or str(error)
        return None, damage

    def _checked(self, key: str, data: bytes) -> set[str]:
        try:
            texts = decode_name_set(key, data)
        except NewerNameSetError as error:
            raise PlaceUnavailableError(
                f"the index of names at {self._remote.place} is {error}; use a newer torchstash"
            ) from error
        for text in texts:
            belongs_there = (
                text in _NUMBERS
                if key == INDEX_KEY
                else text.startswith(NAME_PREFIXES) and shard_key(shard_of(text)) == key
            )
            if not belongs_there:
                raise BadNameSetError(f"a set with {text!r}, which does not belong there")
        return texts

    def _values(self, keys: Sequence[str]) -> dict[str, bytes]:
        try:
            return self._remote.get_many(keys, _WANTED)
        except CorruptStorageError:
            return {}  # One of them: each is read by itself.


def listed_keys(remote: Remote, prefix: str) -> Iterator[str]:
    """The store's keys that have a record at `remote` and begin with `prefix`, in order.

    Raises:
        PlaceUnlistableError: It can neither list nor has an index.
        CorruptMetadataError: The index is damaged.
    """
    if remote.lists:
        yield from remote.keys(prefix)
        return
    for some in batched(NameIndex(remote).keys(prefix), _NAMES_AT_ONCE):
        there = remote.present([record_key(key) for key in some], _WANTED)
        yield from (key for key in some if record_key(key) in there)


def shard_of(key: str) -> str:
    """The number of the shard in which a store's key is listed, in two hexadecimal digits."""
    return f"{Digest.of(key.encode()).raw[0] % _SHARDS:02x}"


_NUMBERS: Final = frozenset(f"{number:02x}" for number in range(_SHARDS))
