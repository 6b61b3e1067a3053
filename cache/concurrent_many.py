"""Several values at once, by as many requests: for servers that take one value a request."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from typing_extensions import override

from torchstash.cache.backend import RemoteCacheBackend
from torchstash.cache.capabilities import ManyAtOnce

A = TypeVar("A")
T = TypeVar("T")

_THREADS = 16


class ConcurrentMany(RemoteCacheBackend[bytes], ManyAtOnce):
    """A backend whose operations may run in several threads. After an error no more are begun."""

    @override
    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        names = list(dict.fromkeys(keys))
        found = zip(names, _run_all(self.get, names), strict=True)
        return {key: value for key, value in found if value is not None}

    @override
    def put_many(self, values: Mapping[str, bytes]) -> None:
        _run_all(lambda item: self.put(*item), list(values.items()))


def _run_all(work: Callable[[A], T], arguments: list[A]) -> list[T]:
    if len(arguments) <= 1:
        return [work(argument) for argument in arguments]
    threads = ThreadPoolExecutor(min(_THREADS, len(arguments)), "torchstash-many")
    try:
        return list(threads.map(work, arguments))
    finally:
        # Those that run end in their own time, which their backend bounds.
        threads.shutdown(cancel_futures=True)
