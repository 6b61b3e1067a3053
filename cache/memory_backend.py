"""The memory engine: values by key in this process."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import ClassVar

from typing_extensions import Buffer, override

from torchstash.cache.backend import RemoteCacheBackend
from torchstash.cache.capabilities import (
    Containing,
    Deletable,
    Leasable,
    Listable,
    ManyAtOnce,
    PutIfAbsent,
)
from torchstash.cache.fork_safe_lock import fork_safe_lock
from torchstash.cache.keys import encode_key


class MemoryBackend(
    RemoteCacheBackend[bytes], Containing, Deletable, Leasable, Listable, ManyAtOnce, PutIfAbsent
):
    """Thread-safe; a child made by fork starts with a copy of its own.

    Args:
        max_bytes: The values' cap: beyond it those that were not used for longest are evicted, and
            a value that is larger than the cap is not kept. None: nothing is ever evicted.
        clock: Seconds that only grow.
    """

    engine_name: ClassVar[str] = "memory"

    def __init__(
        self, *, max_bytes: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._clock = clock
        # By key: the holder, and until when.
        self._leases: dict[bytes, tuple[bytes, float]] = {}
        self._max_bytes = max_bytes
        self._lock = fork_safe_lock()
        # By use, the latest last. Keys as UTF-8, so that every engine takes and orders the same.
        self._values: OrderedDict[bytes, bytes] = OrderedDict()
        self._stored_bytes = 0

    @property
    def stored_bytes(self) -> int:
        """The sum of the sizes of the values."""
        return self._stored_bytes

    @override
    def _get(self, key: str) -> bytes | None:
        raw_key = encode_key(key)
        with self._lock:
            value = self._values.get(raw_key)
            if value is not None:
                self._values.move_to_end(raw_key)
        return value

    @override
    def _put(self, key: str, data: Buffer) -> None:
        raw_key = encode_key(key)
        value = data if isinstance(data, bytes) else bytes(memoryview(data))
        with self._lock:
            self._keep(raw_key, value)

    @override
    def put_if_absent(self, key: str, data: Buffer) -> bool:
        raw_key = encode_key(key)
        value = data if isinstance(data, bytes) else bytes(memoryview(data))
        with self._lock:
            if raw_key in self._values:
                return False
            self._keep(raw_key, value)
            return True

    def _keep(self, raw_key: bytes, value: bytes) -> None:
        self._remove(raw_key)
        if self._max_bytes is not None and len(value) > self._max_bytes:
            return
        self._values[raw_key] = value
        self._stored_bytes += len(value)
        while self._max_bytes is not None and self._stored_bytes > self._max_bytes:
            _, evicted = self._values.popitem(last=False)
            self._stored_bytes -= len(evicted)

    @override
    def acquire_lease(self, key: str, holder: bytes, life_seconds: float) -> bool:
        raw_key = encode_key(key)
        now = self._clock()
        with self._lock:
            for other in [one for one, (_, until) in self._leases.items() if until <= now]:
                del self._leases[other]
            if raw_key in self._leases:
                return False
            self._leases[raw_key] = (holder, now + life_seconds)
            return True

    @override
    def release_lease(self, key: str, holder: bytes) -> None:
        raw_key = encode_key(key)
        with self._lock:
            if self._leases.get(raw_key, (None,))[0] == holder:
                del self._leases[raw_key]

    @override
    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        found = ((key, self.get(key)) for key in dict.fromkeys(keys))
        return {key: value for key, value in found if value is not None}

    @override
    def put_many(self, values: Mapping[str, Buffer]) -> None:
        for key, value in values.items():
            self.put(key, value if isinstance(value, bytes) else bytes(memoryview(value)))

    def _remove(self, raw_key: bytes) -> bool:
        value = self._values.pop(raw_key, None)
        if value is None:
            return False
        self._stored_bytes -= len(value)
        return True

    @override
    def contains(self, key: str) -> bool:
        with self._lock:
            return encode_key(key) in self._values

    @override
    def delete(self, key: str) -> bool:
        raw_key = encode_key(key)
        with self._lock:
            return self._remove(raw_key)

    @override
    def keys(self, prefix: str = "") -> Iterator[str]:
        raw_prefix = encode_key(prefix)
        with self._lock:
            found = [key for key in self._values if key.startswith(raw_prefix)]
        yield from (key.decode() for key in sorted(found))
