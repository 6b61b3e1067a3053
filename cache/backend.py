"""The one storage contract: values by key.

A backend overrides `_get` and `_put`; callers use `get` and `put`, which count into
`cache_counters` under the backend's `_name` and let every exception through. What more a
backend can do it says by implementing the interfaces of `torchstash.cache.capabilities`.
"""

from abc import abstractmethod
from typing import ClassVar, Generic, TypeVar

from typing_extensions import override

from torchstash.cache.counters import cache_counters

T = TypeVar("T")


class RemoteCacheBackend(Generic[T]):
    """Keeps values of type `T`, usually `bytes`, by key. Thread-safe, in every subclass.

    Attributes:
        engine_name: The engine in samples ("disk"); empty: the name of the class stands there.
    """

    engine_name: ClassVar[str] = ""
    # The name in the counters. Of the class, so that a subclass may forget `super().__init__()`.
    _name: str = "backend:RemoteCacheBackend"

    @override
    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if "_name" not in cls.__dict__:
            cls._name = f"backend:{cls.__name__}"

    @abstractmethod
    def _get(self, key: str) -> T | None:
        """The value of `key`, or None where there is none. Any other object is a value."""
        raise NotImplementedError

    @abstractmethod
    def _put(self, key: str, data: T) -> None:
        """Keep `data` under `key`. A reader sees the old value or the new one, whole."""
        raise NotImplementedError

    def get(self, key: str) -> T | None:
        """The value of `key`, or None. Raises what the engine raises, after counting it."""
        try:
            value = self._get(key)
        except Exception:
            cache_counters.exception(self._name)
            raise
        cache_counters.get(self._name, value)
        return value

    def put(self, key: str, data: T) -> None:
        """Keep `data` under `key`. Raises what the engine raises, after counting it."""
        try:
            self._put(key, data)
        except Exception:
            cache_counters.exception(self._name)
            raise
        cache_counters.put(self._name)
