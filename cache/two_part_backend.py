"""Backends whose values have two parts: counted like any get and put."""

from abc import abstractmethod

from typing_extensions import override

from torchstash.cache.backend import RemoteCacheBackend
from torchstash.cache.capabilities import InTwoParts
from torchstash.cache.counters import cache_counters


class TwoPartBackend(RemoteCacheBackend[bytes], InTwoParts):
    """A backend overrides `_get_parts` and `_put_parts`."""

    @abstractmethod
    def _get_parts(self, key: str, head_bytes: int) -> tuple[bytes, bytes] | None:
        """As `get_parts`."""
        raise NotImplementedError

    @abstractmethod
    def _put_parts(self, key: str, head: bytes, body: bytes | memoryview) -> None:
        """As `put_parts`."""
        raise NotImplementedError

    @override
    def get_parts(self, key: str, head_bytes: int) -> tuple[bytes, bytes] | None:
        try:
            parts = self._get_parts(key, head_bytes)
        except Exception:
            cache_counters.exception(self._name)
            raise
        cache_counters.get(self._name, parts)
        return parts

    @override
    def put_parts(self, key: str, head: bytes, body: bytes | memoryview) -> None:
        try:
            self._put_parts(key, head, body)
        except Exception:
            cache_counters.exception(self._name)
            raise
        cache_counters.put(self._name)
