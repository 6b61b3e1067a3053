"""Leases as small objects, beside the entries: made by a conditional put, taken over by another.

Whether a lease has run out is told by the clock of who asks, so the clocks of all machines must
agree to within what leases live. A server that ignores conditions gives one to all who ask.
"""

import json
import time
from collections.abc import Callable

from torchstash.cache.digest import Digest
from torchstash.cache.keys import encode_key
from torchstash.cache.object_store.operations import Operations


class Leases:
    """The leases of one bucket and prefix. Thread-safe.

    Args:
        operations: The bucket.
        unix_clock: Seconds since 1970.
    """

    def __init__(
        self, operations: Operations, *, unix_clock: Callable[[], float] = time.time
    ) -> None:
        self._operations = operations
        self._unix_clock = unix_clock

    def acquire(self, key: str, holder: bytes, life_seconds: float) -> bool:
        """As `Leasable.acquire_lease`."""
        name = _name(key)
        now = self._unix_clock()
        content = json.dumps({"holder": holder.hex(), "until": now + life_seconds}).encode()
        if self._operations.put(name, [content], {}, only_new=True):
            return True
        found = self._operations.get_version(name)
        if found is None:
            # Given back just now: whoever asks next may have it.
            return False
        if _until(found.data) > now:
            return False
        return self._operations.replace(name, memoryview(content), found)

    def release(self, key: str, holder: bytes) -> None:
        """As `Leasable.release_lease`; one that runs out meanwhile may be another's by then."""
        name = _name(key)
        found = self._operations.get_version(name)
        if found is not None and _holder(found.data) == holder.hex():
            self._operations.delete(name)


def _name(key: str) -> str:
    # No entry begins so: see `flat_names`.
    return f"lease-{Digest.of(encode_key(key)).hex}"


def _until(content: bytes) -> float:
    try:
        return float(json.loads(content)["until"])
    except (ValueError, KeyError, TypeError):
        # Not ours, or damaged: anybody's.
        return 0.0


def _holder(content: bytes) -> str:
    try:
        return str(json.loads(content)["holder"])
    except (ValueError, KeyError, TypeError):
        return ""
