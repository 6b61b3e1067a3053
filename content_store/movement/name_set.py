"""A set of texts in bytes: what a value of the index of names holds.

    bytes 0-7      "tstonset"
    bytes 8-11     version of this format: 1
    bytes 12-43    BLAKE3 of: the length of the value's key in UTF-8 (4 bytes), that key, bytes 44
                   and on
    then           number of texts (4 bytes), and for each, in the order of their bytes,
                       the length of its UTF-8 (2), its UTF-8

Numbers are little-endian and without sign. The checksum covers the key, so that a value in the
place of another is damage like any other.
"""

import struct
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

from torchstash.cache.blake3_hasher import hash_whole

_MAGIC: Final = b"tstonset"
_VERSION: Final = 1
_HEADER: Final = struct.Struct("<8sI32s")
_COUNT: Final = struct.Struct("<I")
_LENGTH: Final = struct.Struct("<H")


class BadNameSetError(Exception):
    """Says what was found, for the message of the public error."""


class NewerNameSetError(BadNameSetError):
    """A newer version of torchstash wrote it."""


def encode_name_set(key: str, texts: Iterable[str]) -> bytes:
    """The value of `key` that holds these texts, of less than 64 KiB each."""
    raw = sorted({text.encode() for text in texts})
    pieces = [_COUNT.pack(len(raw))]
    for text in raw:
        pieces += (_LENGTH.pack(len(text)), text)
    body = b"".join(pieces)
    return _HEADER.pack(_MAGIC, _VERSION, _checksum(key, body)) + body


def decode_name_set(key: str, data: bytes) -> set[str]:
    """The inverse of `encode_name_set`. Nothing is believed unchecked.

    Raises:
        BadNameSetError: These are not the bytes of a set under `key`.
    """
    try:
        magic, version, checksum = _HEADER.unpack_from(data)
        if magic != _MAGIC:
            raise BadNameSetError(f"{len(data)} bytes that are no set of names")
        if version != _VERSION:
            raise NewerNameSetError(f"of version {version}, and this program knows 1")
        body = data[_HEADER.size :]
        if _checksum(key, body) != checksum:
            raise BadNameSetError(f"{len(data)} bytes whose checksum is another")
        return _decoded(body)
    except (struct.error, UnicodeDecodeError) as error:
        raise BadNameSetError(f"{len(data)} bytes that end early, or are no text") from error


def _checksum(key: str, body: bytes) -> bytes:
    raw_key = key.encode()
    return hash_whole(_COUNT.pack(len(raw_key)) + raw_key + body)


def _decoded(body: bytes) -> set[str]:
    (count,) = _COUNT.unpack_from(body)
    position = _COUNT.size
    raw: list[bytes] = []
    for _ in range(count):
        (length_bytes,) = _LENGTH.unpack_from(body, position)
        position += _LENGTH.size
        raw.append(body[position : position + length_bytes])
        position += length_bytes
    if position != len(body) or any(a >= b for a, b in pairwise(raw)):
        raise BadNameSetError("a set of names that contradicts itself")
    return {text.decode() for text in raw}
