"""Puts values into envelopes, and takes them out again if everything about them is right."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from torchstash.cache.digest import digest_bytes
from torchstash.cache.envelope.frame import (
    CODEC_RAW,
    CODEC_ZSTD,
    SIGNATURE_BYTES,
    SIGNATURE_HMAC_SHA256,
    SIGNATURE_NONE,
    Header,
    is_bound,
    signed_prefix,
    unpack_header,
)
from torchstash.cache.envelope.signing_key import SigningKey

_NO_KEY_ID: Final = b""


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
        self._keys = {key.key_id.encode("ascii"): key.secret for key in signing_keys}
        self._max_value_bytes = max_value_bytes

    def seal(self, key: bytes, value: bytes | memoryview) -> bytes:
        """The envelope of a value; one copy of it, and none where it is compressed."""
        codec, payload = CODEC_RAW, value
        compression = self._compression
        if compression is not None and len(value) >= max(compression.from_bytes, 1):
            # Imported here because not everybody compresses.
            from torchstash.cache.envelope.zstandard import compress  # noqa: PLC0415

            compressed = compress(value, compression.level)
            if len(compressed) < len(value):
                codec, payload = CODEC_ZSTD, compressed
        key_id, secret = next(iter(self._keys.items()), (_NO_KEY_ID, None))
        header = Header(
            codec,
            SIGNATURE_NONE if secret is None else SIGNATURE_HMAC_SHA256,
            len(payload),
            len(value),
            digest_bytes(payload),
            key_id,
        ).pack(self._namespace, key)
        if secret is None:
            return b"".join((header, payload))
        return b"".join((header, self._sign(secret, key, header, payload), payload))

    def open(self, key: bytes, data: bytes) -> bytes:
        """The value in an envelope. Decodes nothing before everything is checked.

        In this order: form and sizes, header and entry, signature, digest; then the codec.

        Raises:
            RejectedError: Something is wrong.
        """
        header = unpack_header(data)
        if isinstance(header, str):
            raise RejectedError(header)
        payload = self._payload(header, data)
        if not is_bound(self._namespace, key, data):
            raise RejectedError("its header is damaged, or of another key or namespace")
        if self._keys:
            self._verify(header, key, data, payload)
        if digest_bytes(payload) != header.digest:
            raise RejectedError("its digest is wrong")
        if header.codec == CODEC_RAW:
            return bytes(payload)
        from torchstash.cache.envelope.zstandard import decompress  # noqa: PLC0415

        value = decompress(payload, header.value_size_bytes)
        if value is None:
            raise RejectedError("its payload is not what its header says")
        return value

    def _payload(self, header: Header, data: bytes) -> memoryview:
        if header.codec not in (CODEC_RAW, CODEC_ZSTD):
            raise RejectedError(f"its codec {header.codec} is not known")
        if header.signature not in (SIGNATURE_NONE, SIGNATURE_HMAC_SHA256):
            raise RejectedError(f"its kind of signature {header.signature} is not known")
        if bool(header.key_id) != bool(header.signature):
            raise RejectedError("it has a signature without the id of a key, or the reverse")
        start = header.size_bytes + (SIGNATURE_BYTES if header.signature else 0)
        if start + header.payload_size_bytes != len(data):
            raise RejectedError(
                f"it has {len(data)} bytes instead of {start + header.payload_size_bytes}"
            )
        if header.value_size_bytes > self._max_value_bytes:
            raise RejectedError(
                f"its value of {header.value_size_bytes} bytes is larger than the "
                f"{self._max_value_bytes} that are allowed"
            )
        if header.codec == CODEC_RAW and header.value_size_bytes != header.payload_size_bytes:
            raise RejectedError("its two sizes differ, but it is not compressed")
        return memoryview(data)[start:]

    def _verify(self, header: Header, key: bytes, data: bytes, payload: memoryview) -> None:
        if not header.signature:
            raise RejectedError("it is not signed")
        secret = self._keys.get(header.key_id)
        if secret is None:
            raise RejectedError(f"it is signed with the unknown key {header.key_id!r}")
        found = data[header.size_bytes : header.size_bytes + SIGNATURE_BYTES]
        expected = self._sign(secret, key, data[: header.size_bytes], payload)
        if not hmac.compare_digest(found, expected):
            raise RejectedError("its signature is wrong")

    def _sign(self, secret: bytes, key: bytes, header: bytes, payload: bytes | memoryview) -> bytes:
        signature = hmac.new(secret, signed_prefix(self._namespace, key), "sha256")
        signature.update(header)
        signature.update(payload)
        return signature.digest()
