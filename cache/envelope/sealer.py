"""Puts values into envelopes, and takes them out again if everything about them is right."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from torchstash.cache.blake3_hasher import hash_whole
from torchstash.cache.envelope.frame import (
    BOUND_BYTES,
    CODEC_RAW,
    CODEC_ZSTD,
    FIXED_BYTES,
    PLAIN,
    SIGNATURE_BYTES,
    SIGNATURE_HMAC_SHA256,
    SIGNATURE_NONE,
    Header,
    binding,
    entry_name,
    header_fault,
    pack_header,
    unpack_header,
)
from torchstash.cache.envelope.signing_key import SigningKey


@dataclass(frozen=True, slots=True)
class Compression:
    """When values are compressed.

    Attributes:
        level: Of zstd, 1 to 19.
        from_bytes: Smaller values are left alone.

    Raises:
        ValueError: A number is out of range.
    """

    level: int = 3
    from_bytes: int = 1024

    def __post_init__(self) -> None:
        if not 1 <= self.level <= 19 or self.from_bytes < 0:
            raise ValueError(f"zstd has levels 1 to 19 here, from 0 bytes up; not {self}")


class RejectedError(Exception):
    """What lies under a key is not what was put there; its text says what is wrong."""


class Sealer:
    """Envelopes of one namespace. Thread-safe.

    Args:
        namespace: Part of what is checked and signed, though not of the key.
        compression: None: never. What comes compressed is read all the same.
        signing_keys: The first signs, all are accepted, and nothing without a signature is. Empty:
            nothing is signed, and signatures are not looked at.
        max_value_bytes: A value that claims to be larger is rejected.
    """

    def __init__(
        self,
        *,
        namespace: bytes,
        compression: Compression | None,
        signing_keys: Sequence[SigningKey],
        max_value_bytes: int,
    ) -> None:
        self._namespace = namespace
        self._compression = compression
        # Of each key what has taken in its secret, and is copied for each signature.
        self._keys = {
            key.key_id.encode("ascii"): hmac.new(key.secret, digestmod="sha256")
            for key in signing_keys
        }
        self._first: tuple[bytes, hmac.HMAC | None] = next(iter(self._keys.items()), (b"", None))
        self._head_bytes = FIXED_BYTES
        if self._keys:
            self._head_bytes += len(self._first[0]) + SIGNATURE_BYTES
        self._max_value_bytes = max_value_bytes

    @property
    def head_bytes(self) -> int:
        """How much stands before the payloads of the envelopes that this seals."""
        return self._head_bytes

    def seal(self, key: bytes, value: bytes | memoryview) -> tuple[bytes, bytes | memoryview]:
        """The two parts of a value's envelope: the head, and the payload, which is no copy."""
        codec, payload = CODEC_RAW, value
        compression = self._compression
        if compression is not None and len(value) >= max(compression.from_bytes, 1):
            # Imported here because not everybody compresses.
            from torchstash.cache.envelope.zstandard import compress_if_smaller  # noqa: PLC0415

            compressed = compress_if_smaller(value, compression.level)
            if compressed is not None:
                codec, payload = CODEC_ZSTD, compressed
        key_id, keyed = self._first
        entry = entry_name(self._namespace, key)
        signature = SIGNATURE_NONE if keyed is None else SIGNATURE_HMAC_SHA256
        digest = hash_whole(payload)
        fields = (codec, signature, len(key_id), len(payload), len(value), digest)
        head = pack_header(fields, entry)
        if keyed is not None:
            head += key_id
            head += _sign(keyed, entry + head, payload)
        return head, payload

    def open(self, key: bytes, head: bytes, rest: bytes | memoryview) -> bytes:
        """The value in an envelope. Decodes nothing before everything is checked.

        In this order: form and sizes, header and entry, signature, digest; then the codec.

        Args:
            key: Whose it is.
            head: Its first bytes, `head_bytes` of them where there are so many.
            rest: The others. Where that is the payload of a raw value as `bytes`, it is the value:
                no copy is made.

        Raises:
            RejectedError: Something is wrong.
        """
        entry = entry_name(self._namespace, key)
        if head.startswith(PLAIN) and not self._keys and len(rest) <= self._max_value_bytes:
            # It is right exactly if to seal the same value again gives the same head.
            size_bytes = len(rest)
            fields = (CODEC_RAW, SIGNATURE_NONE, 0, size_bytes, size_bytes, hash_whole(rest))
            if head == pack_header(fields, entry):
                return bytes(rest)
            # Else the long way tells what is wrong with it.
        header = unpack_header(head)
        if header is None:
            raise RejectedError(header_fault(head))
        codec, signature, key_id_bytes, payload_bytes, value_bytes, digest = header
        start = FIXED_BYTES + key_id_bytes + (SIGNATURE_BYTES if signature else 0)
        if (
            codec > CODEC_ZSTD
            or signature > SIGNATURE_HMAC_SHA256
            or (not key_id_bytes) is not (not signature)
            or start + payload_bytes != len(head) + len(rest)
            or value_bytes > self._max_value_bytes
            or (codec == CODEC_RAW and value_bytes != payload_bytes)
        ):
            raise RejectedError(self._formal_fault(Header(*header), start, len(head) + len(rest)))
        if start != len(head):
            head, rest = _cut(head, rest, start)
        if binding(entry + head[:BOUND_BYTES]) != head[BOUND_BYTES:FIXED_BYTES]:
            raise RejectedError("its header is damaged, or of another key or namespace")
        if self._keys:
            self._verify(entry, head, rest, is_signed=bool(signature))
        if hash_whole(rest) != digest:
            raise RejectedError("its digest is wrong")
        if codec == CODEC_RAW:
            return bytes(rest)
        from torchstash.cache.envelope.zstandard import decompress  # noqa: PLC0415

        value = decompress(rest, value_bytes)
        if value is None:
            raise RejectedError("its payload is not what its header says")
        return value

    def _formal_fault(self, header: Header, start: int, size_bytes: int) -> str:
        if header.codec not in (CODEC_RAW, CODEC_ZSTD):
            return f"its codec {header.codec} is not known"
        if header.signature not in (SIGNATURE_NONE, SIGNATURE_HMAC_SHA256):
            return f"its kind of signature {header.signature} is not known"
        if bool(header.key_id_bytes) != bool(header.signature):
            return "it has a signature without the id of a key, or the reverse"
        if start + header.payload_size_bytes != size_bytes:
            return f"it has {size_bytes} bytes instead of {start + header.payload_size_bytes}"
        if header.value_size_bytes > self._max_value_bytes:
            return (
                f"its value of {header.value_size_bytes} bytes is larger than the "
                f"{self._max_value_bytes} that are allowed"
            )
        return "its two sizes differ, but it is not compressed"

    def _verify(
        self, entry: bytes, head: bytes, payload: bytes | memoryview, *, is_signed: bool
    ) -> None:
        if not is_signed:
            raise RejectedError("it is not signed")
        key_id = head[FIXED_BYTES:-SIGNATURE_BYTES]
        keyed = self._keys.get(key_id)
        if keyed is None:
            raise RejectedError(f"it is signed with the unknown key {key_id!r}")
        expected = _sign(keyed, entry + head[:-SIGNATURE_BYTES], payload)
        if not hmac.compare_digest(head[-SIGNATURE_BYTES:], expected):
            raise RejectedError("its signature is wrong")


def _sign(keyed: hmac.HMAC, before: bytes, payload: bytes | memoryview) -> bytes:
    signature = keyed.copy()
    signature.update(before)
    signature.update(payload)
    return signature.digest()


def _cut(head: bytes, rest: bytes | memoryview, start: int) -> tuple[bytes, bytes | memoryview]:
    """The same bytes, with `start` of them in the first part."""
    if start > len(head):
        missing = start - len(head)
        return head + bytes(rest[:missing]), memoryview(rest)[missing:]
    return head[:start], b"".join((head[start:], rest))
