"""Values that say what they are, and under which key: what stands before the records of a place.

    bytes 0-7      what they are
    bytes 8-11     version of the format: 1
    bytes 12-43    BLAKE3 of: the length of the key in UTF-8 (4 bytes), the key, bytes 44 and on

Numbers are little-endian and without sign. The checksum covers the key: a value in the place of
another is damage like any other.
"""

import struct
from dataclasses import dataclass
from typing import Final

from torchstash.cache.blake3_hasher import hash_whole

_VERSION: Final = 1
_HEADER: Final = struct.Struct("<8sI32s")
_LENGTH: Final = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class KeyedFrame:
    """One kind of values.

    Attributes:
        magic: The first 8 bytes of each.
        what: For messages: what each is.
        bad: Raised for what is none.
        newer: Raised for one of a newer version.
    """

    magic: bytes
    what: str
    bad: type[Exception]
    newer: type[Exception]

    def framed(self, key: str, body: bytes) -> bytes:
        """The value of `key` that holds `body`."""
        return _HEADER.pack(self.magic, _VERSION, _checksum(key, body)) + body

    def body_of(self, key: str, data: bytes) -> bytes:
        """The inverse of `framed`; raises `bad`, `newer`, and `struct.error` of too few bytes."""
        magic, version, checksum = _HEADER.unpack_from(data)
        if magic != self.magic:
            raise self.bad(f"{len(data)} bytes that are no {self.what}")
        if version != _VERSION:
            raise self.newer(f"of version {version}, and this program knows {_VERSION}")
        body = data[_HEADER.size :]
        if _checksum(key, body) != checksum:
            raise self.bad(f"{len(data)} bytes whose checksum is another")
        return body


def _checksum(key: str, body: bytes) -> bytes:
    raw_key = key.encode()
    return hash_whole(_LENGTH.pack(len(raw_key)) + raw_key + body)
