"""`memory:?max_bytes=64MiB`."""

from torchstash.cache.memory_backend import MemoryBackend
from torchstash.cache.opening.backend_url import BackendUrl
from torchstash.cache.opening.option_types import SIZE_BYTES


def backend_from_url(url: BackendUrl) -> MemoryBackend:
    """Values of this process. Two backends, even of one URL, have nothing in common."""
    if url.places or url.path:
        raise url.wrong("names a place, but memory has none", "write memory:")
    return MemoryBackend(**url.options(max_bytes=SIZE_BYTES))
