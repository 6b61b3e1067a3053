"""A backend around a backend: what all of them have in common."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

from typing_extensions import override

from torchstash.cache.backend import RemoteCacheBackend
from torchstash.cache.capabilities import (
    Closable,
    ManyAtOnce,
)
from torchstash.cache.many_at_once import get_many, put_many
from torchstash.cache.wrappers.forwarding import (
    CAPABILITIES,
    Passing,
    capabilities_of,
    class_with,
    make_again,
)


class Wrapper(Passing, ManyAtOnce, Closable):
    """Passes everything on to `inner`; a subclass changes what it is there for.

    Several values at once are passed on together where `inner` takes them together. What more
    `inner` can do a wrapper can do if its kind `honours` it.

    Attributes:
        honours: The capabilities that this kind of wrapper passes on.
    """

    honours: ClassVar[frozenset[type]] = CAPABILITIES
    # The class that a program names, where the wrapper's own has capabilities added.
    _public_class: ClassVar[type[Any] | None] = None
    _arguments: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *arguments: Any, **options: Any) -> Self:  # noqa: ANN401 - a subclass's own
        """Of the class that has what the backends inside can do."""
        inner = arguments[0] if arguments else options.get("inner")
        kind = class_with(cls, capabilities_of(inner, cls.honours))
        self: Self = object.__new__(kind)
        self._arguments = (arguments, options)
        return self

    def __init__(self, inner: RemoteCacheBackend[bytes]) -> None:
        super().__init__()
        self.inner = inner

    @override
    def __reduce__(self) -> tuple[object, ...]:
        """Another process makes the same around the same backend, where that can be pickled."""
        return make_again, (self._public_class or type(self), *self._arguments)

    @override
    def _get(self, key: str) -> bytes | None:
        return self.inner.get(key)

    @override
    def _put(self, key: str, data: bytes) -> None:
        self.inner.put(key, data)

    @override
    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        return get_many(self.inner, keys)

    @override
    def put_many(self, values: Mapping[str, bytes]) -> None:
        put_many(self.inner, values)

    @override
    def close(self) -> None:
        if isinstance(self.inner, Closable):
            self.inner.close()
