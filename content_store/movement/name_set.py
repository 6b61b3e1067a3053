"""A set of texts in bytes: what a value of the index of names holds.

    bytes 0-43     as `keyed_frame.py` says, of "tstonset"
    then           number of texts (4 bytes), and for each, in the order of their bytes,
                       the length of its UTF-8 (2), its UTF-8

Numbers are little-endian and without sign.
"""

import struct
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

from torchstash.content_store.movement.keyed_frame import KeyedFrame

_COUNT: Final = struct.Struct("<I")
_LENGTH: Final = struct.Struct("<H")


class BadNameSetError(Exception):
    """Says what was found, for the message of the public error."""


class NewerNameSetError(BadNameSetError):
    """A newer version of torchstash wrote it."""


_FRAME: Final = KeyedFrame(b"tstonset", "set of names", BadNameSetError, NewerNameSetError)


def encode_name_set(key: str, texts: Iterable[str]) -> bytes:
    """The value of `key` that holds these texts, of less than 64 KiB each."""
    raw = sorted({text.encode() for text in texts})
    pieces = [_COUNT.pack(len(raw))]
    for text in raw:
        pieces += (_LENGTH.pack(len(text)), text)
    return _FRAME.framed(key, b"".join(pieces))


def decode_name_set(key: str, data: bytes) -> set[str]:
    """The inverse of `encode_name_set`. Nothing is believed unchecked.

    Raises:
        BadNameSetError: These are not the bytes of a set under `key`.
    """
    try:
        return _decoded(_FRAME.body_of(key, data))
    except (struct.error, UnicodeDecodeError) as error:
        raise BadNameSetError(f"{len(data)} bytes that end early, or are no text") from error


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
