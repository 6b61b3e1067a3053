"""A backend that a store is pushed to or pulled from: its capabilities used, its faults retried."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import sleep
from typing import Final, TypeVar

from torchstash.cache.backend import RemoteCacheBackend
from torchstash.cache.capabilities import Containing, Listable, ManyAtOnce, MayTear
from torchstash.cache.errors import (
    BackendBusyError,
    BackendTimeoutError,
    BackendUnreachableError,
)
from torchstash.content_store.errors import PlaceUnlistableError
from torchstash.content_store.movement.layout import key_of_record, record_key
from torchstash.content_store.movement.place_errors import place_errors

T = TypeVar("T")

WAITS_SECONDS: Final = (0.5, 2.0, 8.0)
"""How long to wait before each further attempt at what may succeed the next time."""

_PASSING: Final = (BackendBusyError, BackendTimeoutError, BackendUnreachableError)
_THREADS: Final = 8


class Remote:
    """What a transfer asks of a backend. Thread-safe; it does not own the backend.

    Args:
        backend: Raises its faults.
        place: For messages, without secrets.
        waits_seconds: Pauses before the further attempts at what failed.

    Attributes:
        may_tear: A value that is there need not be whole.
        tells_presence: Presence can be asked for.
        lists: It can list what it has.
        takes_many: Several values cost little more than one.
    """

    def __init__(
        self,
        backend: RemoteCacheBackend[bytes],
        place: str,
        *,
        waits_seconds: Sequence[float] = WAITS_SECONDS,
    ) -> None:
        self._backend = backend
        self.place = place
        self._waits_seconds = waits_seconds
        self.may_tear = isinstance(backend, MayTear)
        self.tells_presence = isinstance(backend, Containing)
        self.lists = isinstance(backend, Listable)
        self.takes_many = isinstance(backend, ManyAtOnce)

    def get(self, key: str, wanted: str) -> bytes | None:
        """The value of `key`, which belongs to what is `wanted`.

        Raises (as every method):
            PlaceUnavailableError: The engine failed, at each attempt if it was worth another one.
            CorruptStorageError: The engine found the value damaged.
        """
        return self._persistently(wanted, lambda: self._backend.get(key))

    def put(self, key: str, data: bytes, wanted: str) -> None:
        """Keep a value."""
        self._persistently(wanted, lambda: self._backend.put(key, data))

    def contains(self, key: str, wanted: str) -> bool:
        """Whether there is a value; False where the engine cannot tell."""
        backend = self._backend
        if not isinstance(backend, Containing):
            return False
        return self._persistently(wanted, lambda: backend.contains(key))

    def present(self, keys: Iterable[str], wanted: str) -> set[str]:
        """Which of the `keys` have a value."""
        keys = list(keys)
        if not self.tells_presence:
            return set(self.get_many(keys, wanted))
        if len(keys) <= 1:
            return {key for key in keys if self.contains(key, wanted)}
        with ThreadPoolExecutor(_THREADS, "torchstash-ask") as executor:
            found = executor.map(lambda key: self.contains(key, wanted), keys)
            return {key for key, is_there in zip(keys, found, strict=True) if is_there}

    def get_many(self, keys: Iterable[str], wanted: str) -> dict[str, bytes]:
        """The values of those `keys` that have one, together or by several threads."""
        backend, keys = self._backend, list(keys)
        if not keys:
            return {}
        if isinstance(backend, ManyAtOnce):
            return self._persistently(wanted, lambda: backend.get_many(keys))
        if len(keys) == 1:
            value = self.get(keys[0], wanted)
            return {} if value is None else {keys[0]: value}
        with ThreadPoolExecutor(_THREADS, "torchstash-get") as executor:
            values = executor.map(lambda key: self.get(key, wanted), keys)
            found = zip(keys, values, strict=True)
            return {key: value for key, value in found if value is not None}

    def put_many(self, values: Mapping[str, bytes], wanted: str) -> None:
        """Keep every value, together or by several threads."""
        backend = self._backend
        if isinstance(backend, ManyAtOnce):
            self._persistently(wanted, lambda: backend.put_many(values))
            return
        with ThreadPoolExecutor(_THREADS, "torchstash-put") as executor:
            for _ in executor.map(lambda pair: self.put(pair[0], pair[1], wanted), values.items()):
                pass

    def keys(self, prefix: str) -> Iterator[str]:
        """The store's keys that have a record and begin with `prefix`.

        Raises:
            PlaceUnlistableError: The engine cannot list.
        """
        backend = self._backend
        if not isinstance(backend, Listable):
            raise PlaceUnlistableError(f"{self.place} cannot list what it holds; give the names")
        with place_errors(self.place, "the list of names"):
            for key in backend.keys(record_key(prefix)):
                yield key_of_record(key)

    def _persistently(self, wanted: str, operation: Callable[[], T]) -> T:
        with place_errors(self.place, wanted):
            for wait_seconds in self._waits_seconds:
                try:
                    return operation()
                except _PASSING:
                    sleep(wait_seconds)
            return operation()
