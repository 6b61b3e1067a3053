"""Redis and Valkey: values by key on servers that many machines share.

What it promises: no operation takes longer than its `Timeouts`; a restarted server, a moved slot
and a fork need no new backend; every fault is a `BackendError` whose subclass tells which. The
client is our own, over hiredis' parser: docs/adr/0017 tells why.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import Buffer, override

from torchstash.cache.buffers import flat_view
from torchstash.cache.capabilities import (
    Containing,
    Deletable,
    Leasable,
    Listable,
    ManyAtOnce,
    PutIfAbsent,
    SelfTimed,
)
from torchstash.cache.counters import cache_counters
from torchstash.cache.errors import BackendProtocolError
from torchstash.cache.keys import encode_key
from torchstash.cache.network import Timeouts, TlsSettings
from torchstash.cache.redis.opening import open_servers
from torchstash.cache.server_backend import ServerBackend
from torchstash.cache.two_part_backend import TwoPartBackend

if TYPE_CHECKING:
    from torchstash.cache.redis.servers import Servers

_SCAN_COUNT = 1000
# Of what is sent or asked for together: enough to hide the way there and back.
_BATCH_KEYS = 512
_BATCH_BYTES = 4 << 20
# After the prefix, so that a user who may use that may have leases.
_LEASE = b"\0lease\0"


class RedisBackend(
    ServerBackend["Servers"],
    Containing,
    Deletable,
    Leasable,
    Listable,
    ManyAtOnce,
    PutIfAbsent,
    SelfTimed,
    TwoPartBackend,
):
    """Values by key on a Redis (from 4.0) or Valkey server, or on a cluster of them.

    A cluster is recognised by what its servers say: name any of them. Nothing is connected before
    the first operation.

    Args:
        host: Name or address of the server.
        port: Its TCP port.
        others: Further servers to begin with, where the first does not answer.
        db: Number of the database. A cluster has only 0.
        username: Of an ACL user; None: the default user.
        password: None: do not authenticate.
        tls: None: no TLS.
        prefix: Put in front of every key on the server, and nothing without it is touched.
        ttl_seconds: How long a value is kept after it was put; None: until the server evicts it.
        timeouts: How long an operation waits.

    Raises (from every method):
        BackendError: The server cannot be reached, or refused; the subclass tells why.
        InvalidKeyError: UTF-8 cannot encode a key.
    """

    engine_name: ClassVar[str] = "redis"

    def __init__(
        self,
        host: str = "localhost",
        port: int = 6379,
        *,
        others: Sequence[tuple[str, int]] = (),
        db: int = 0,
        username: str | None = None,
        password: str | None = None,
        tls: TlsSettings | None = None,
        prefix: str = "torchstash:",
        ttl_seconds: float | None = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
    ) -> None:
        servers = open_servers(
            [(host, port), *others],
            db=db,
            username=username,
            password=password,
            tls=tls,
            timeouts=timeouts,
        )
        settings = {
            "host": host,
            "port": port,
            "others": tuple(others),
            "db": db,
            "username": username,
            "password": password,
            "tls": tls,
            "prefix": prefix,
            "ttl_seconds": ttl_seconds,
            "timeouts": timeouts,
        }
        super().__init__(servers, f"{host}:{port}", settings)
        self._prefix = encode_key(prefix)
        self._expiry: list[bytes] = []
        if ttl_seconds is not None:
            self._expiry = [b"PX", b"%d" % max(1, round(ttl_seconds * 1000))]

    @override
    def _get(self, key: str) -> bytes | None:
        raw_key = self._prefix + encode_key(key)
        return _value(self._opened.run(b"GET", raw_key))

    @override
    def _put(self, key: str, data: Buffer) -> None:
        raw_key = self._prefix + encode_key(key)
        self._opened.run(b"SET", raw_key, flat_view(data), *self._expiry)

    @override
    def _get_parts(self, key: str, head_bytes: int) -> tuple[bytes, bytes] | None:
        raw_key = self._prefix + encode_key(key)
        reply = self._opened.get(raw_key, head_bytes)
        if isinstance(reply, tuple):
            return reply
        value = _value(reply)
        return None if value is None else (value[:head_bytes], value[head_bytes:])

    @override
    def _put_parts(self, key: str, head: bytes, body: bytes | memoryview) -> None:
        self._opened.set(self._prefix + encode_key(key), head, body, self._expiry)

    @override
    def put_if_absent(self, key: str, data: Buffer) -> bool:
        raw_key = self._prefix + encode_key(key)
        reply = self._opened.run(b"SET", raw_key, flat_view(data), *self._expiry, b"NX")
        return reply is not None

    @override
    def acquire_lease(self, key: str, holder: bytes, life_seconds: float) -> bool:
        name = self._prefix + _LEASE + encode_key(key)
        life = b"%d" % max(1, round(life_seconds * 1000))
        return self._opened.run(b"SET", name, holder, b"PX", life, b"NX") is not None

    @override
    def release_lease(self, key: str, holder: bytes) -> None:
        # Two steps: a script would do it in one, but not every user may run scripts. A lease that
        # runs out in between, and is another's by then, is lost to that one.
        name = self._prefix + _LEASE + encode_key(key)
        if _value(self._opened.run(b"GET", name)) == holder:
            self._opened.run(b"UNLINK", name)

    @override
    def contains(self, key: str) -> bool:
        raw_key = self._prefix + encode_key(key)
        return self._opened.run(b"EXISTS", raw_key) == 1

    @override
    def delete(self, key: str) -> bool:
        raw_key = self._prefix + encode_key(key)
        return self._opened.run(b"UNLINK", raw_key) == 1

    @override
    def keys(self, prefix: str = "") -> Iterator[str]:
        """Keys that begin with `prefix`, in order: collected from every server first."""
        pattern = _glob_literal(self._prefix + encode_key(prefix)) + b"*"
        found: set[bytes] = set()
        for master in self._opened.masters():
            cursor = b"0"
            while True:
                cursor, page = self._scan(master, cursor, pattern)
                found.update(page)
                if cursor == b"0":
                    break
        for raw_key in sorted(found):
            raw_name = raw_key[len(self._prefix) :]
            if not raw_name.startswith(_LEASE):
                yield raw_name.decode()

    def _scan(
        self, master: tuple[str, int], cursor: bytes, pattern: bytes
    ) -> tuple[bytes, list[bytes]]:
        reply = self._opened.run_at(
            master, b"SCAN", cursor, b"MATCH", pattern, b"COUNT", b"%d" % _SCAN_COUNT
        )
        match reply:
            case [bytes() as next_cursor, list() as page]:
                return next_cursor, page
        raise BackendProtocolError(f"SCAN was replied to with {type(reply).__name__}")

    @override
    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        names = list(dict.fromkeys(keys))
        try:
            found = self._get_many(names)
        except Exception:
            cache_counters.exception(self._name)
            raise
        cache_counters.hit(self._name, len(found))
        cache_counters.miss(self._name, len(names) - len(found))
        return found

    def _get_many(self, names: Sequence[str]) -> dict[str, bytes]:
        prefix = self._prefix
        found: dict[str, bytes] = {}
        for start in range(0, len(names), _BATCH_KEYS):
            batch = names[start : start + _BATCH_KEYS]
            raw_keys = [prefix + encode_key(name) for name in batch]
            if self._opened.is_cluster():
                # MGET is for keys of one slot there.
                values = self._opened.run_many([(b"GET", raw_key) for raw_key in raw_keys])
            else:
                values = _values(self._opened.run(b"MGET", *raw_keys), len(batch))
            for name, reply in zip(batch, values, strict=True):
                value = reply if type(reply) is bytes else _value(reply)
                if value is not None:
                    found[name] = value
        return found

    @override
    def put_many(self, values: Mapping[str, bytes]) -> None:
        try:
            batch: list[tuple[bytes | memoryview, ...]] = []
            batch_bytes = 0
            for key, value in values.items():
                raw_key = self._prefix + encode_key(key)
                view = flat_view(value)
                batch.append((b"SET", raw_key, view, *self._expiry))
                batch_bytes += len(view)
                if len(batch) >= _BATCH_KEYS or batch_bytes >= _BATCH_BYTES:
                    self._opened.run_many(batch)
                    batch, batch_bytes = [], 0
            if batch:
                self._opened.run_many(batch)
        except Exception:
            cache_counters.exception(self._name)
            raise
        cache_counters.put(self._name, len(values))

    @override
    def _close_client(self, client: "Servers") -> None:
        client.close()


def _value(reply: object) -> bytes | None:
    if reply is None or isinstance(reply, bytes):
        return reply
    raise BackendProtocolError(f"a value was replied as {type(reply).__name__}, not as bytes")


def _values(reply: object, count: int) -> list[object]:
    if isinstance(reply, list) and len(reply) == count:
        return reply
    raise BackendProtocolError(f"{count} values were replied as {type(reply).__name__}")


def _glob_literal(text: bytes) -> bytes:
    """The pattern that means exactly `text`."""
    return re.sub(rb"([*?\[\]\\^-])", rb"\\\1", text)
