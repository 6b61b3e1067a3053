"""What a wrapper can do of what the backend inside can do.

Callers ask a backend with `isinstance`. So a wrapper is of a class that has exactly the
capabilities that its kind can honour and that the backend inside has: made once for each
combination, named like the wrapper's own class and derived from it.
"""

from collections.abc import Callable, Collection, Iterator
from functools import cache
from typing import Any, Final, cast

from typing_extensions import override

from torchstash.cache.backend import RemoteCacheBackend
from torchstash.cache.capabilities import (
    ComputeOnce,
    Containing,
    Deletable,
    InTwoParts,
    Leasable,
    Listable,
    PutIfAbsent,
)
from torchstash.cache.two_part_backend import TwoPartBackend


class Passing(RemoteCacheBackend[bytes]):
    """What wrappers override where passing a capability on to `inner` is not all that they do.

    A method is called only where the backend inside has the capability.

    Attributes:
        inner: The backend inside. Samples name its engine.
    """

    inner: RemoteCacheBackend[bytes]

    def _contains(self, key: str) -> bool:
        return cast(Containing, self.inner).contains(key)

    def _delete(self, key: str) -> bool:
        return cast(Deletable, self.inner).delete(key)

    def _keys(self, prefix: str) -> Iterator[str]:
        yield from cast(Listable, self.inner).keys(prefix)

    def _put_if_absent(self, key: str, data: bytes) -> bool:
        return cast(PutIfAbsent, self.inner).put_if_absent(key, data)

    def _get_parts(self, key: str, head_bytes: int) -> tuple[bytes, bytes] | None:
        return cast(InTwoParts, self.inner).get_parts(key, head_bytes)

    def _put_parts(self, key: str, head: bytes, body: bytes | memoryview) -> None:
        cast(InTwoParts, self.inner).put_parts(key, head, body)

    def _acquire_lease(self, key: str, holder: bytes, life_seconds: float) -> bool:
        return cast(Leasable, self.inner).acquire_lease(key, holder, life_seconds)

    def _release_lease(self, key: str, holder: bytes) -> None:
        cast(Leasable, self.inner).release_lease(key, holder)

    def _abandon(self, key: str) -> None:
        cast(ComputeOnce, self.inner).abandon(key)


class _Containing(Passing, Containing):
    @override
    def contains(self, key: str) -> bool:
        return self._contains(key)


class _Deletable(Passing, Deletable):
    @override
    def delete(self, key: str) -> bool:
        return self._delete(key)


class _Listable(Passing, Listable):
    @override
    def keys(self, prefix: str = "") -> Iterator[str]:
        return self._keys(prefix)


class _PutIfAbsent(Passing, PutIfAbsent):
    @override
    def put_if_absent(self, key: str, data: bytes) -> bool:
        return self._put_if_absent(key, data)


class _InTwoParts(Passing, TwoPartBackend):
    """Counts, and leaves the rest to the wrapper."""


class _Leasable(Passing, Leasable):
    @override
    def acquire_lease(self, key: str, holder: bytes, life_seconds: float) -> bool:
        return self._acquire_lease(key, holder, life_seconds)

    @override
    def release_lease(self, key: str, holder: bytes) -> None:
        self._release_lease(key, holder)


class _ComputeOnce(Passing, ComputeOnce):
    @override
    def abandon(self, key: str) -> None:
        self._abandon(key)


_BY_CAPABILITY: Final[dict[Any, Any]] = {
    Containing: _Containing,
    Deletable: _Deletable,
    Listable: _Listable,
    PutIfAbsent: _PutIfAbsent,
    InTwoParts: _InTwoParts,
    Leasable: _Leasable,
    ComputeOnce: _ComputeOnce,
}
# Those that can be passed on as they are. What is put in two parts is not seen by the `_put` that a
# wrapper may have.
CAPABILITIES: Final[frozenset[type]] = frozenset(_BY_CAPABILITY) - {InTwoParts}


def capabilities_of(backend: object, among: frozenset[type] = CAPABILITIES) -> frozenset[type]:
    """Which capabilities a backend has."""
    return frozenset(each for each in among if isinstance(backend, each))


@cache
def class_with(kind: type[Any], capabilities: frozenset[type]) -> type[Any]:
    """The class `kind`, with these capabilities."""
    missing = [each for each in _BY_CAPABILITY if each in capabilities]
    added = [_BY_CAPABILITY[each] for each in missing if not issubclass(kind, each)]
    if not added:
        return kind
    names = ("__module__", "__qualname__", "__doc__")
    namespace: dict[str, Any] = {name: getattr(kind, name) for name in names}
    namespace["_public_class"] = kind
    # The class of classes that all of these have (ABCMeta).
    make: Callable[..., type[Any]] = type(kind)
    return make(kind.__name__, (kind, *added), namespace)


def make_again(kind: type[Any], arguments: Collection[Any], options: dict[str, Any]) -> object:
    """What another process makes of a wrapper: the same, with a state of its own."""
    return kind(*arguments, **options)
