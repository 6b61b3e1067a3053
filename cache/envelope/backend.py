"""A backend whose values lie in envelopes: what comes back is what was put, or it is a miss.

Whoever can write to an engine can write anything there. An envelope is checked before a byte of it
is decoded: whole, of this key and namespace, with the right digest, and, where signing keys are
given, signed by one who has them. All else is a miss with OUTCOME_REJECTED, never an exception.
"""

from collections.abc import Iterable, Mapping, Sequence

from typing_extensions import Buffer, override

from torchstash.cache.backend import RemoteCacheBackend
from torchstash.cache.buffers import flat_view
from torchstash.cache.capabilities import InTwoParts
from torchstash.cache.counters import cache_counters
from torchstash.cache.envelope.sealer import Compression, RejectedError, Sealer
from torchstash.cache.envelope.signing_key import SigningKey
from torchstash.cache.keys import encode_key
from torchstash.cache.observation import current_notes
from torchstash.cache.wrappers.wrapper import Wrapper
from torchstash.proto.cache.v1.cache_sample_pb2 import OUTCOME_REJECTED

_COMPRESSION = Compression()
_COPIED_BYTES = 64 << 10


class Envelope(Wrapper):
    """Values in envelopes (docs/envelope.md), in the backend `inner`.

    Args:
        inner: Keeps the envelopes.
        namespace: Values of another namespace are rejected. It is no part of the keys: two
            namespaces that share an engine need a prefix each.
        compression: None: values are not compressed.
        signing_keys: The first signs, each of them is accepted, and what is not signed is
            rejected. Empty: no signatures.
        max_value_bytes: A larger value is rejected before anything is allocated for it; put, it
            raises ValueError.
    """

    def __init__(
        self,
        inner: RemoteCacheBackend[bytes],
        *,
        namespace: str = "",
        compression: Compression | None = _COMPRESSION,
        signing_keys: Sequence[SigningKey] = (),
        max_value_bytes: int = 1 << 30,
    ) -> None:
        super().__init__(inner)
        self._max_value_bytes = max_value_bytes
        self._sealer = Sealer(
            namespace=encode_key(namespace),
            compression=compression,
            signing_keys=signing_keys,
            max_value_bytes=max_value_bytes,
        )
        self._head_bytes = self._sealer.head_bytes
        self._in_two_parts = inner if isinstance(inner, InTwoParts) else None

    @override
    def _get(self, key: str) -> bytes | None:
        raw_key = encode_key(key)
        if self._in_two_parts is None:
            data = self.inner.get(key)
            return None if data is None else self._open_whole(key, raw_key, data)
        parts = self._in_two_parts.get_parts(key, self._head_bytes)
        return None if parts is None else self._open(key, raw_key, *parts)

    def _open_whole(self, key: str, raw_key: bytes, data: bytes) -> bytes | None:
        # A small value is cheaper copied than looked at.
        view = data if len(data) < _COPIED_BYTES else memoryview(data)
        return self._open(key, raw_key, data[: self._head_bytes], view[self._head_bytes :])

    def _open(
        self, key: str, raw_key: bytes, head: bytes, rest: bytes | memoryview
    ) -> bytes | None:
        try:
            value = self._sealer.open(raw_key, head, rest)
        except RejectedError as error:
            self._reject(key, error)
            return None
        notes = current_notes()
        if notes is not None:
            notes.stored_size_bytes = len(head) + len(rest)
        return value

    def _reject(self, key: str, error: RejectedError) -> None:
        cache_counters.exception(self._name)
        notes = current_notes()
        if notes is not None:
            notes.fault(OUTCOME_REJECTED, f"the value of {key!r} was rejected: {error}")

    @override
    def _put(self, key: str, data: Buffer) -> None:
        head, payload = self._sealed(key, data)
        notes = current_notes()
        if notes is not None:
            notes.stored_size_bytes = len(head) + len(payload)
        if self._in_two_parts is None or len(payload) < _COPIED_BYTES:
            self.inner.put(key, b"".join((head, payload)))
        else:
            self._in_two_parts.put_parts(key, head, payload)

    def _seal(self, key: str, data: Buffer) -> bytes:
        head, payload = self._sealed(key, data)
        return b"".join((head, payload))

    def _sealed(self, key: str, data: Buffer) -> tuple[bytes, bytes | memoryview]:
        raw_key = encode_key(key)
        value = data if isinstance(data, bytes) else flat_view(data)
        if len(value) > self._max_value_bytes:
            raise ValueError(
                f"a value of {len(value)} bytes was put under {key!r}, but readers reject more "
                f"than {self._max_value_bytes}; raise max_value_bytes for all of them"
            )
        return self._sealer.seal(raw_key, value)

    @override
    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        opened: dict[str, bytes] = {}
        head_bytes, open_parts = self._head_bytes, self._sealer.open
        for key, data in super().get_many(keys).items():
            rest = data[head_bytes:] if len(data) < _COPIED_BYTES else memoryview(data)[head_bytes:]
            try:
                opened[key] = open_parts(encode_key(key), data[:head_bytes], rest)
            except RejectedError as error:
                self._reject(key, error)
        return opened

    @override
    def _put_if_absent(self, key: str, data: Buffer) -> bool:
        return super()._put_if_absent(key, self._seal(key, data))

    @override
    def put_many(self, values: Mapping[str, bytes]) -> None:
        super().put_many({key: self._seal(key, data) for key, data in values.items()})
