"""The boundary at which faults become misses: the program goes on.

Whatever the backend raises is counted (by the backend that raised it, in `cache_counters`), noted
for the sample, said once in the log, and forgotten. What is wrong with the call itself, a key that
UTF-8 cannot encode, is raised: that is not a fault of the backend, and would never get better.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar, TypeVar

from typing_extensions import override

from torchstash.cache.backend import RemoteCacheBackend
from torchstash.cache.capabilities import Leasable, Listable
from torchstash.cache.errors import InvalidKeyError
from torchstash.cache.fork_safe_lock import fork_safe_lock
from torchstash.cache.observation import current_notes
from torchstash.cache.wrappers.wrapper import Wrapper

T = TypeVar("T")


class Forgiving(Wrapper):
    """`inner`, whose faults are misses and puts that did not happen.

    Raises:
        InvalidKeyError: UTF-8 cannot encode a key.
    """

    # A list that ends early, or a claim that nobody gave, would be taken for what it is not.
    honours: ClassVar[frozenset[type]] = Wrapper.honours - {Listable, Leasable}

    def __init__(self, inner: RemoteCacheBackend[bytes]) -> None:
        super().__init__(inner)
        self._lock = fork_safe_lock()
        self._failures = 0

    @property
    def failures(self) -> int:
        """Operations that failed, and were forgiven."""
        return self._failures

    @override
    def _get(self, key: str) -> bytes | None:
        return self._try(lambda: super(Forgiving, self)._get(key), None)

    @override
    def _put(self, key: str, data: bytes) -> None:
        self._try(lambda: self.inner.put(key, data), None)

    @override
    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        nothing: dict[str, bytes] = {}
        return self._try(lambda: super(Forgiving, self).get_many(keys), nothing)

    @override
    def put_many(self, values: Mapping[str, bytes]) -> None:
        self._try(lambda: super(Forgiving, self).put_many(values), None)

    @override
    def _contains(self, key: str) -> bool:
        return self._try(lambda: super(Forgiving, self)._contains(key), False)

    @override
    def _delete(self, key: str) -> bool:
        return self._try(lambda: super(Forgiving, self)._delete(key), False)

    @override
    def _put_if_absent(self, key: str, data: bytes) -> bool:
        return self._try(lambda: super(Forgiving, self)._put_if_absent(key, data), False)

    @override
    def _abandon(self, key: str) -> None:
        self._try(lambda: super(Forgiving, self)._abandon(key), None)

    def _try(self, work: Callable[[], T], otherwise: T) -> T:
        try:
            return work()
        except InvalidKeyError:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary to the user's program
            self._forgive(error)
            return otherwise

    @override
    def close(self) -> None:
        try:
            super().close()
        except Exception as error:  # noqa: BLE001 - the boundary to the user's program
            self._forgive(error)

    def _forgive(self, error: Exception) -> None:
        with self._lock:
            self._failures += 1
            is_first = self._failures == 1
        notes = current_notes()
        if notes is not None:
            notes.fault_of(error)
        if not is_first:
            return
        # Imported here because it takes long, and is rarely needed.
        from absl import logging  # noqa: PLC0415

        logging.warning(
            "A cache failed, and the program goes on without it; more may follow unannounced, see "
            "cache_counters: %s: %s",
            type(error).__name__,
            error,
        )
