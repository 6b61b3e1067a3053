"""What is known to be absent is not asked for again, for a short time."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping

from typing_extensions import override

from torchstash.cache.backend import RemoteCacheBackend
from torchstash.cache.fork_safe_lock import fork_safe_lock
from torchstash.cache.observation import current_notes
from torchstash.cache.wrappers.wrapper import Wrapper


class NegativeCaching(Wrapper):
    """`inner`, whose misses are remembered in this process. Failures are not: they raise.

    A value that another process puts is so found up to `life_seconds` late; one that is put here
    is found at once.

    Args:
        inner: The backend inside.
        life_seconds: How long a miss is remembered.
        max_keys: How many misses are, the latest ones.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        inner: RemoteCacheBackend[bytes],
        *,
        life_seconds: float = 2.0,
        max_keys: int = 65536,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(inner)
        self._life_seconds = life_seconds
        self._max_keys = max_keys
        self._clock = clock
        self._lock = fork_safe_lock()
        # By key, until when; the oldest first.
        self._absent: OrderedDict[str, float] = OrderedDict()
        # Grows with each put, before and after it: a miss that was found meanwhile may be old.
        self._puts = 0

    @override
    def _get(self, key: str) -> bytes | None:
        if self._is_absent(key):
            notes = current_notes()
            if notes is not None:
                notes.attributes["negative_cache"] = "hit"
            return None
        puts = self._puts
        value = self.inner.get(key)
        if value is None:
            self._remember([key], puts)
        return value

    @override
    def _put(self, key: str, data: bytes) -> None:
        self._forget([key])
        try:
            self.inner.put(key, data)
        finally:
            self._forget([key])

    @override
    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        wanted = [key for key in dict.fromkeys(keys) if not self._is_absent(key)]
        puts = self._puts
        found = super().get_many(wanted) if wanted else {}
        self._remember([key for key in wanted if key not in found], puts)
        return found

    @override
    def put_many(self, values: Mapping[str, bytes]) -> None:
        self._forget(values)
        try:
            super().put_many(values)
        finally:
            self._forget(values)

    @override
    def _acquire_lease(self, key: str, holder: bytes, life_seconds: float) -> bool:
        is_given = super()._acquire_lease(key, holder, life_seconds)
        if is_given:
            # Who is to do the work looks first whether somebody else has just done it.
            self._forget([key])
        return is_given

    @override
    def _put_if_absent(self, key: str, data: bytes) -> bool:
        self._forget([key])
        try:
            return super()._put_if_absent(key, data)
        finally:
            self._forget([key])

    def _is_absent(self, key: str) -> bool:
        until = self._absent.get(key)
        return until is not None and self._clock() < until

    def _remember(self, keys: Iterable[str], puts: int) -> None:
        until = self._clock() + self._life_seconds
        with self._lock:
            if self._puts != puts:
                return
            for key in keys:
                self._absent.pop(key, None)
                self._absent[key] = until
            while len(self._absent) > self._max_keys:
                self._absent.popitem(last=False)

    def _forget(self, keys: Iterable[str]) -> None:
        with self._lock:
            self._puts += 1
            for key in keys:
                self._absent.pop(key, None)
