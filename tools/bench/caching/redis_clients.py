"""Clients of Redis, behind the calls that are timed: ours bare and as `open_backend` gives it."""

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from unittest import mock

from torchstash.cache import ManyAtOnce, RemoteCache, RemoteCachePassthroughSerde, open_backend
from torchstash.cache.redis import RedisBackend
from torchstash.tools.bench.errors import UnavailableError

OURS = "torchstash RedisBackend"
OURS_OPENED = "torchstash open_backend(redis:)"
REDIS_PY = "redis-py, hiredis"
RAW = "raw socket"

_HOST = "127.0.0.1"


@dataclass(frozen=True)
class Client:
    """A client that is connected, or will be at the first call."""

    get: Callable[[str], object]
    put: Callable[[str, bytes], object]
    close: Callable[[], None]
    # Several values by one call; None: one by one is all that it can.
    get_many: Callable[[Sequence[str]], object] | None = None


def ours(port: int) -> Client:
    """The engine alone."""
    backend = RedisBackend(_HOST, port)
    return Client(backend.get, backend.put, backend.close, backend.get_many)


def ours_opened(port: int) -> Client:
    """Deadline and breaker, envelope and forgiveness around it, and a cache without samples."""
    backend = open_backend(f"redis://{_HOST}:{port}?prefix=opened:&compression=none")
    cache = RemoteCache[bytes](backend, RemoteCachePassthroughSerde())
    assert isinstance(backend, ManyAtOnce)
    many = backend.get_many
    return Client(cache.get, cache.put, lambda: None, many)


def redis_py(port: int) -> Client:
    """The client of the Redis company, which uses hiredis where it is installed."""
    try:
        import redis  # noqa: PLC0415 - a peer that may be missing
    except ImportError as error:
        raise UnavailableError(f"{error}: pip install redis hiredis") from error
    client = redis.Redis(_HOST, port)
    return Client(client.get, client.set, client.close, client.mget)


def torch_cache(port: int) -> Client:
    """PyTorch's own remote cache over redis-py. Its serde is taken off: the data are bytes."""
    try:
        from torch._inductor import remote_cache  # noqa: PLC0415 - a peer that may be missing
    except ImportError as error:
        raise UnavailableError(f"this PyTorch has no remote cache: {error}") from error
    with mock.patch.dict(os.environ, {"TORCHINDUCTOR_REDIS_URL": f"redis://{_HOST}:{port}"}):
        try:
            backend = remote_cache.RedisRemoteCacheBackend("bench")
        except RuntimeError as error:
            raise UnavailableError(f"{error}: pip install redis hiredis") from error
    serde = remote_cache.RemoteCachePassthroughSerde[bytes]()
    cache = remote_cache.RemoteCache[bytes](backend, serde)
    return Client(cache.get, cache.put, lambda: None)


def dogpile(port: int) -> Client:
    """dogpile.cache over redis-py: values are pickled, with the time that they were made."""
    try:
        from dogpile.cache import make_region  # noqa: PLC0415 - a peer that may be missing
    except ImportError as error:
        raise UnavailableError(f"{error}: pip install dogpile.cache redis") from error
    region = make_region().configure(
        "dogpile.cache.redis", arguments={"host": _HOST, "port": port, "distributed_lock": False}
    )
    return Client(region.get, region.set, lambda: None, region.get_multi)


def raw_socket(port: int) -> Client:
    """The least that a get can cost: a request that is made already, and reading what comes."""
    connection = socket.create_connection((_HOST, port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    buffer = bytearray(1 << 20)

    def read(end_bytes: int) -> None:
        while end_bytes > 0:
            end_bytes -= connection.recv_into(buffer)

    def get(key: str) -> object:
        name = b"raw:" + key.encode()
        connection.sendall(b"*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n" % (len(name), name))
        count = connection.recv_into(buffer)
        head, _, _ = bytes(buffer[:24]).partition(b"\r\n")
        size_bytes = int(head[1:])
        if size_bytes < 0:
            return None
        rest = len(head) + 2 + size_bytes + 2 - count
        if not rest:
            return bytes(memoryview(buffer)[len(head) + 2 : count - 2])
        read(rest)
        return None  # Read, and not kept.

    def put(key: str, value: bytes) -> object:
        name = b"raw:" + key.encode()
        head = b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n" % (len(name), name, len(value))
        connection.sendall(head)
        connection.sendall(value)
        connection.sendall(b"\r\n")
        return connection.recv_into(buffer)

    return Client(get, put, connection.close)


CLIENTS: dict[str, Callable[[int], Client]] = {
    OURS: ours,
    OURS_OPENED: ours_opened,
    REDIS_PY: redis_py,
    "torch RemoteCache, redis-py": torch_cache,
    "dogpile.cache, redis-py": dogpile,
    RAW: raw_socket,
}
