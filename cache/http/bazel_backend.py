"""Values by key in a Bazel remote cache that speaks HTTP (bazel.build, "HTTP caching protocol").

    <base_url>/ac/<SHA-256 of the key>        an `ActionResult`, whose standard output is the value
    <base_url>/cas/<SHA-256 of the content>   the value, where it is too large to lie in the first

What it promises beside what `HttpBackend` does: a value is put before what points to it, and its
digest is checked when it is read, so that a reader sees a whole old value or a whole new one
whatever the server does. The two parts may be evicted separately: a value half of which is gone is
a miss.
"""

import hashlib
from collections.abc import Iterable
from typing import ClassVar

from typing_extensions import Buffer, override

from torchstash.cache.action_result import (
    INLINE_MAX_BYTES,
    inline_result,
    parse_result,
    pointing_result,
)
from torchstash.cache.buffers import flat_view
from torchstash.cache.capabilities import Containing
from torchstash.cache.errors import CorruptEntryError
from torchstash.cache.http.client_backend import ClientBackend
from torchstash.cache.keys import encode_key
from torchstash.cache.two_part_backend import TwoPartBackend


class BazelHttpBackend(ClientBackend, Containing, TwoPartBackend):
    """Each value an action's result below `base_url`. Entries are the server's to delete.

    Args:
        base_url: `http://host:port/path` or `https://...`; a user and password in it are sent.
        bearer_token: Sent with each request, instead of a user and password.
        tls: For https; None: the system's authorities.
        timeouts: How long each request waits; a large value takes two.

    Raises (from every method):
        BackendError: The server cannot be reached, or refused; the subclass tells why.
        CorruptEntryError: The server gave other bytes than were put.
        InvalidKeyError: UTF-8 cannot encode a key.
    """

    engine_name: ClassVar[str] = "bazel_http"

    @override
    def _get(self, key: str) -> bytes | None:
        parts = self._get_parts(key, 0)
        return None if parts is None else parts[1]

    @override
    def _get_parts(self, key: str, head_bytes: int) -> tuple[bytes, bytes] | None:
        client = self._opened
        encoded = client.get(_entry_name(key))
        if encoded is None:
            return None
        found = parse_result(key, encoded)
        if found.value is not None:
            return found.value[:head_bytes], found.value[head_bytes:]
        parts = client.get_parts(f"cas/{found.hash}", head_bytes)
        if parts is None:
            return None
        size_bytes = sum(map(len, parts))
        if size_bytes != found.size_bytes or _hash(parts) != found.hash:
            raise CorruptEntryError(
                key, f"cas/{found.hash} has {size_bytes} bytes that are not those it is named for"
            )
        return parts

    @override
    def _put(self, key: str, data: Buffer) -> None:
        self._put_parts(key, b"", flat_view(data))

    @override
    def _put_parts(self, key: str, head: bytes, body: bytes | memoryview) -> None:
        client = self._opened
        name = _entry_name(key)
        size_bytes = len(head) + len(body)
        if 0 < size_bytes <= INLINE_MAX_BYTES:
            result = inline_result(memoryview(b"".join((head, body))))
        else:
            digest = _hash((head, body))
            client.put(f"cas/{digest}", head, body)
            result = pointing_result(digest, size_bytes)
        client.put(name, result.SerializeToString())

    @override
    def contains(self, key: str) -> bool:
        return self._opened.exists(_entry_name(key))


def _entry_name(key: str) -> str:
    return f"ac/{hashlib.sha256(encode_key(key)).hexdigest()}"


def _hash(parts: Iterable[bytes | memoryview]) -> str:
    sha256 = hashlib.sha256()
    for part in parts:
        sha256.update(part)
    return sha256.hexdigest()
