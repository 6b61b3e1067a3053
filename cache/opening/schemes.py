"""Which engine opens which scheme.

To add an engine: write a module with a function

    def backend_from_url(url: BackendUrl) -> RemoteCacheBackend[bytes]:
        options = url.options(prefix=TEXT, ttl_seconds=SECONDS.named("ttl"))
        return RedisBackend(url.host, url.port or 6379, timeouts=url_timeouts(url), **options)

that calls `url.options` once, with every option that it knows, before it opens anything, and name
the module below. It is imported when the scheme is first asked for; a library that is missing then
is a `BackendLibraryError` of the engine's. With `is_remote` the engine's backend is put behind a
breaker, an envelope and the boundary at which faults become misses: the engine raises its typed
errors and does none of this itself. The function gets its time limits from `url_timeouts(url)`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Scheme:
    """How the URLs of one scheme are opened.

    Attributes:
        module: Has `backend_from_url`, and is imported when it is needed.
        target: The Bazel target that a program depends on to have it.
        example: For messages.
        is_remote: It may fail, hang or lie, and the program must go on all the same.
    """

    module: str
    target: str
    example: str
    is_remote: bool


_LOCAL: Final = "torchstash.cache.opening"

SCHEMES: Final[Mapping[str, Scheme]] = MappingProxyType(
    {
        "memory": Scheme(
            f"{_LOCAL}.memory_from_url", "//cache", "memory:?max_bytes=64MiB", is_remote=False
        ),
        "file": Scheme(
            f"{_LOCAL}.disk_from_url",
            "//cache",
            "file:///var/cache/torchstash?max_bytes=10GiB",
            is_remote=False,
        ),
        "redis": Scheme(
            "torchstash.cache.redis.from_url",
            "//cache/redis",
            "redis://user:password@host:6379/0?ttl=7d",
            is_remote=True,
        ),
        "rediss": Scheme(
            "torchstash.cache.redis.from_url",
            "//cache/redis",
            "rediss://user:password@host:6379/0",
            is_remote=True,
        ),
        "s3": Scheme(
            "torchstash.cache.object_store.from_url",
            "//cache/object_store",
            "s3://bucket/prefix?region=eu-central-1",
            is_remote=True,
        ),
        "gs": Scheme(
            "torchstash.cache.object_store.from_url",
            "//cache/object_store",
            "gs://bucket/prefix",
            is_remote=True,
        ),
        "az": Scheme(
            "torchstash.cache.object_store.from_url",
            "//cache/object_store",
            "az://container/prefix?account_name=name",
            is_remote=True,
        ),
        "grpc": Scheme(
            "torchstash.cache.reapi.from_url",
            "//cache/reapi",
            "grpc://host:8980/instance",
            is_remote=True,
        ),
        "grpcs": Scheme(
            "torchstash.cache.reapi.from_url",
            "//cache/reapi",
            "grpcs://host/instance",
            is_remote=True,
        ),
        "http": Scheme(
            "torchstash.cache.http.from_url",
            "//cache/http",
            "http://host:8080/folder?layout=bazel",
            is_remote=True,
        ),
        "https": Scheme(
            "torchstash.cache.http.from_url",
            "//cache/http",
            "https://user:password@host/folder",
            is_remote=True,
        ),
    }
)
