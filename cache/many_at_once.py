"""Several values at once, from any backend: together where it can, else one by one."""

from collections.abc import Iterable, Mapping

from torchstash.cache.backend import RemoteCacheBackend
from torchstash.cache.capabilities import ManyAtOnce


def get_many(backend: RemoteCacheBackend[bytes], keys: Iterable[str]) -> dict[str, bytes]:
    """The values of those `keys` that have one."""
    if isinstance(backend, ManyAtOnce):
        return backend.get_many(keys)
    found = ((key, backend.get(key)) for key in keys)
    return {key: value for key, value in found if value is not None}


def put_many(backend: RemoteCacheBackend[bytes], values: Mapping[str, bytes]) -> None:
    """Keep every value under its key. After an error any of them may be kept."""
    if isinstance(backend, ManyAtOnce):
        backend.put_many(values)
        return
    for key, value in values.items():
        backend.put(key, value)
