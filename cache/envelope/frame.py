"""The bytes around a value: how they are laid out. docs/envelope.md has the table.

This module only packs and takes apart; `sealer.py` decides. What stands before the payload is the
head: the header, and where there is a signature, the id of its key and the signature.
"""

import struct
from typing import Final, NamedTuple, TypeAlias

from blake3 import blake3

# 0x8A is no character of ASCII, nor does UTF-8 begin with it: no text is taken for an envelope.
MAGIC: Final = b"\x8aTSE"
VERSION: Final = 1

CODEC_RAW: Final = 0
CODEC_ZSTD: Final = 1
SIGNATURE_NONE: Final = 0
SIGNATURE_HMAC_SHA256: Final = 1

SIGNATURE_BYTES: Final = 32
BINDING_BYTES: Final = 16

BEGINNING: Final = MAGIC + bytes([VERSION])
# How a value begins that is raw and not signed.
PLAIN: Final = BEGINNING + bytes([CODEC_RAW, SIGNATURE_NONE, 0])
# After the beginning: codec, signature, length of the key id, payload size, value size, digest.
_FIELDS: Final = struct.Struct("<BBBQQ32s")
BOUND_BYTES: Final = len(BEGINNING) + _FIELDS.size
FIXED_BYTES: Final = BOUND_BYTES + BINDING_BYTES
_LENGTHS: Final = struct.Struct("<QQ")


# A header whose fields have no names: it is made and taken apart for every value.
Fields: TypeAlias = tuple[int, int, int, int, int, bytes]


class Header(NamedTuple):
    """What stands at the beginning of an envelope.

    Attributes:
        codec: How the payload is encoded.
        signature: What kind of signature follows.
        key_id_bytes: Size of the id of the key that has signed.
        payload_size_bytes: Of the payload, as it is stored.
        value_size_bytes: Of the value, decoded.
        digest: BLAKE3 of the payload as it is stored.
    """

    codec: int
    signature: int
    key_id_bytes: int
    payload_size_bytes: int
    value_size_bytes: int
    digest: bytes


def pack_header(header: Fields, entry: bytes) -> bytes:
    """The bytes of a header, bound to the entry that it belongs to."""
    bound = BEGINNING + _FIELDS.pack(*header)
    return bound + binding(entry + bound)


def unpack_header(data: bytes) -> Fields | None:
    """The header at the beginning of `data`. None: there is none, and `header_fault` tells why."""
    if len(data) < FIXED_BYTES or not data.startswith(BEGINNING):
        return None
    fields: Fields = _FIELDS.unpack_from(data, len(BEGINNING))
    return fields


def header_fault(data: bytes) -> str:
    """Why no header stands at the beginning of `data`."""
    if len(data) < FIXED_BYTES:
        return f"it has {len(data)} bytes, fewer than an envelope"
    if not data.startswith(MAGIC):
        return "it is no envelope"
    version = data[len(MAGIC)]
    return f"its envelope has version {version}, and this torchstash reads {VERSION}"


def binding(bound: bytes) -> bytes:
    """What binds a header to its entry: a digest of the entry, and after it the header so far."""
    return blake3(bound).digest(BINDING_BYTES)


def entry_name(namespace: bytes, key: bytes) -> bytes:
    """What names an entry, in bindings and signatures; with lengths, so that no two are alike."""
    return _LENGTHS.pack(len(namespace), len(key)) + namespace + key
