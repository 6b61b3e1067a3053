"""The bytes around a value: how they are laid out. docs/envelope.md has the table.

This module only packs and takes apart; `sealer.py` decides.
"""

import struct
from typing import Final, NamedTuple

from blake3 import blake3

# 0x8A is no character of ASCII, nor does UTF-8 begin with it: no text is taken for an envelope.
MAGIC: Final = b"\x8aTSE"
VERSION: Final = 1

CODEC_RAW: Final = 0
CODEC_ZSTD: Final = 1
SIGNATURE_NONE: Final = 0
SIGNATURE_HMAC_SHA256: Final = 1

SIGNATURE_BYTES: Final = 32
_BINDING_BYTES: Final = 16

# Magic, version, codec, signature, length of the key id, payload size, value size, digest.
_BOUND: Final = struct.Struct("<4sBBBBQQ32s")
FIXED_BYTES: Final = _BOUND.size + _BINDING_BYTES


class Header(NamedTuple):
    """What stands before the signature and the payload. One is made for every get.

    Attributes:
        codec: How the payload is encoded.
        signature: What kind of signature follows.
        payload_size_bytes: Of the payload, as it is stored.
        value_size_bytes: Of the value, decoded.
        digest: BLAKE3 of the payload as it is stored.
        key_id: Which key has signed.
    """

    codec: int
    signature: int
    payload_size_bytes: int
    value_size_bytes: int
    digest: bytes
    key_id: bytes

    def pack(self, namespace: bytes, key: bytes) -> bytes:
        """Its bytes, bound to the entry that it belongs to."""
        bound = _BOUND.pack(
            MAGIC,
            VERSION,
            self.codec,
            self.signature,
            len(self.key_id),
            self.payload_size_bytes,
            self.value_size_bytes,
            self.digest,
        )
        return bound + _binding(namespace, key, bound) + self.key_id

    @property
    def size_bytes(self) -> int:
        """How many bytes `pack` gives."""
        return FIXED_BYTES + len(self.key_id)


def unpack_header(data: bytes) -> Header | str:
    """The header at the beginning of `data`, or what is wrong with it. Checks nothing else."""
    if len(data) < FIXED_BYTES:
        return f"it has {len(data)} bytes, fewer than an envelope"
    magic, version, codec, signature, key_id_length, *rest = _BOUND.unpack_from(data)
    if magic != MAGIC:
        return "it is no envelope"
    if version != VERSION:
        return f"its envelope has version {version}, and this torchstash reads {VERSION}"
    payload_size, value_size, digest = rest
    key_id = data[FIXED_BYTES : FIXED_BYTES + key_id_length]
    return Header(codec, signature, payload_size, value_size, digest, key_id)


def is_bound(namespace: bytes, key: bytes, data: bytes) -> bool:
    """Whether the header of `data` is as it was written, and was written for this entry."""
    found = data[_BOUND.size : FIXED_BYTES]
    return found == _binding(namespace, key, data[: _BOUND.size])


def _binding(namespace: bytes, key: bytes, bound: bytes) -> bytes:
    return blake3(signed_prefix(namespace, key) + bound).digest(_BINDING_BYTES)


def signed_prefix(namespace: bytes, key: bytes) -> bytes:
    """What names an entry, in signatures too; with lengths, so that no two entries are alike."""
    lengths = struct.pack("<QQ", len(namespace), len(key))
    return lengths + namespace + key
