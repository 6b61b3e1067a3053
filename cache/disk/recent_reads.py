"""Which entries were read since the catalogue last heard of it.

A read must not cost a write, so reads are noted here and told in batches. A note may be lost
(two threads at once, a killed process): then an entry is evicted a little early.
"""

_BATCH = 1024


class RecentReads:
    """Keys in the order of their last read."""

    def __init__(self) -> None:
        self._keys: dict[bytes, None] = {}

    def note(self, key: bytes) -> bool:
        """Note a read; whether there are enough notes to tell the catalogue."""
        keys = self._keys
        keys.pop(key, None)
        keys[key] = None
        return len(keys) >= _BATCH

    def take(self) -> list[bytes]:
        """All notes, the latest last, and forget them."""
        keys, self._keys = self._keys, {}
        return list(keys)
