"""Several backends, the nearest first: what one lacks, the next may have.

A value that a farther tier has is put into the nearer ones (backfill). The last tier is the one
that counts: a put that it took is stored, and a get that it answered with nothing is a miss. A
fault in a nearer tier never fails an operation; it stands in the sample as `fault:<tier>`.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any, ClassVar, Self, cast

from typing_extensions import Buffer, override

from torchstash.cache.backend import RemoteCacheBackend
from torchstash.cache.capabilities import (
    Closable,
    ComputeOnce,
    Containing,
    Deletable,
    ManyAtOnce,
    PutIfAbsent,
)
from torchstash.cache.errors import InvalidKeyError
from torchstash.cache.many_at_once import get_many, put_many
from torchstash.cache.observation import current_notes, engine_name
from torchstash.cache.wrappers.forwarding import Passing, capabilities_of, class_with, make_again

# Under a stream of puts to other keys a fill gives up; the next get fills again.
_FILL_ATTEMPTS = 3


class Tiers(Passing, ManyAtOnce, Closable):
    """Tiers by name, the nearest first. What the last one can do they can, most of it together.

    Args:
        tiers: At least one. Names stand in samples.

    Raises:
        ValueError: There is no tier.
    """

    _public_class: ClassVar[type[Any] | None] = None

    def __new__(cls, tiers: Sequence[tuple[str, RemoteCacheBackend[bytes]]]) -> Self:
        """Of the class that has what the backends inside can do."""
        each = [capabilities_of(tier) for _, tier in tiers]
        if not each:
            return object.__new__(cls)
        # An entry is where any tier has it, and is gone when all have deleted it.
        found = each[-1] - ({Containing, Deletable} - frozenset.intersection(*each))
        if any(ComputeOnce in one for one in each):
            found |= {ComputeOnce}
        self: Self = object.__new__(class_with(cls, found))
        return self

    def __init__(self, tiers: Sequence[tuple[str, RemoteCacheBackend[bytes]]]) -> None:
        super().__init__()
        if not tiers:
            raise ValueError("no tier was given; give at least one")
        self._tiers = tuple(tiers)
        # Samples of misses and puts name its engine.
        self.inner = self._tiers[-1][1]
        # Changes with every put: each number is given once, by an iterator, which is atomic.
        self._put_numbers = count(1)
        self._puts = 0

    @override
    def __reduce__(self) -> tuple[object, ...]:
        """Another process makes the same tiers, where each can be pickled."""
        return make_again, (self._public_class or type(self), (self._tiers,), {})

    @property
    def tiers(self) -> tuple[tuple[str, RemoteCacheBackend[bytes]], ...]:
        """Name and backend of each, the nearest first."""
        return self._tiers

    @override
    def _get(self, key: str) -> bytes | None:
        puts = self._puts
        last = len(self._tiers) - 1
        for i, (name, tier) in enumerate(self._tiers):
            try:
                value = tier.get(key)
            except InvalidKeyError:
                raise
            except Exception as error:
                if i == last:
                    raise
                self._pass_over(name, error)
                continue
            if value is not None:
                self._answered(i)
                self._fill(i, {key: value}, puts)
                return value
            if i != last:
                self._pass_over(name, None)
        return None

    @override
    def _put(self, key: str, data: Buffer) -> None:
        # A buffer is read by each tier.
        value = data if isinstance(data, bytes) else bytes(data)
        try:
            self._tiers[-1][1].put(key, value)
        finally:
            self._put_nearer({key: value})

    @override
    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        puts = self._puts
        wanted = list(dict.fromkeys(keys))
        found: dict[str, bytes] = {}
        last = len(self._tiers) - 1
        for i, (name, tier) in enumerate(self._tiers):
            try:
                new = get_many(tier, wanted)
            except InvalidKeyError:
                raise
            except Exception as error:
                # What the nearer tiers had is no failure.
                if i == last and not found:
                    raise
                self._pass_over(name, error)
                continue
            self._fill(i, new, puts)
            found |= new
            wanted = [key for key in wanted if key not in new]
            if not wanted:
                break
        return found

    @override
    def put_many(self, values: Mapping[str, bytes]) -> None:
        kept = {key: bytes(data) for key, data in values.items()}
        try:
            put_many(self._tiers[-1][1], kept)
        finally:
            self._put_nearer(kept)

    @override
    def _contains(self, key: str) -> bool:
        return any(cast(Containing, tier).contains(key) for _, tier in self._tiers)

    @override
    def _delete(self, key: str) -> bool:
        # The last tier first, and told as a put is: a fill that runs asks it again.
        self._puts = next(self._put_numbers)
        found = [cast(Deletable, tier).delete(key) for _, tier in reversed(self._tiers)]
        self._puts = next(self._put_numbers)
        return any(found)

    @override
    def _put_if_absent(self, key: str, data: Buffer) -> bool:
        value = data if isinstance(data, bytes) else bytes(data)
        is_new = cast(PutIfAbsent, self.inner).put_if_absent(key, value)
        if is_new:
            self._put_nearer({key: value})
        return is_new

    @override
    def _abandon(self, key: str) -> None:
        for _, tier in self._tiers:
            if isinstance(tier, ComputeOnce):
                tier.abandon(key)

    @override
    def close(self) -> None:
        for _, tier in self._tiers:
            if isinstance(tier, Closable):
                tier.close()

    def _put_nearer(self, values: Mapping[str, bytes]) -> None:
        # After the last tier, and told before and after: `_fill` relies on both.
        self._puts = next(self._put_numbers)
        for name, tier in self._tiers[-2::-1]:
            self._put_into(name, tier, values)
        self._puts = next(self._put_numbers)

    def _fill(self, index: int, values: Mapping[str, bytes], puts: int) -> None:
        """Put what tier `index` had into the nearer ones, unless it may be out of date.

        A put that came meanwhile has written the last tier before the nearer ones. So where one
        came, the last tier is asked again, and what it has replaces what was filled in.
        """
        if not index or not values:
            return
        current = values
        for _ in range(_FILL_ATTEMPTS):
            if self._puts != puts:
                puts = self._puts
                try:
                    current = get_many(self._tiers[-1][1], values)
                except Exception as error:  # noqa: BLE001 - the value that was found is no failure
                    self._pass_over(self._tiers[-1][0], error)
                    return
            for name, tier in self._tiers[:index]:
                self._put_into(name, tier, current)
            if self._puts == puts:
                return

    def _put_into(
        self, name: str, tier: RemoteCacheBackend[bytes], values: Mapping[str, bytes]
    ) -> None:
        """Put values into a tier that does not count."""
        try:
            put_many(tier, values)
        except InvalidKeyError:
            raise
        except Exception as error:  # noqa: BLE001 - counted by the tier, and in the sample
            self._pass_over(name, error)
        else:
            self._pass_over(name, None)

    def _answered(self, index: int) -> None:
        notes = current_notes()
        if notes is not None:
            name, tier = self._tiers[index]
            notes.clear_fault()
            notes.tier_name = name
            notes.engine_name = notes.engine_name or engine_name(tier)

    def _pass_over(self, name: str, error: Exception | None) -> None:
        """Note what a tier could not do, by its exception or by its own notes, as an attribute."""
        notes = current_notes()
        if notes is None:
            return
        if error is not None:
            notes.fault_of(error)
        if notes.outcome is not None:
            notes.attributes[f"fault:{name}"] = notes.reason
            notes.clear_fault()
