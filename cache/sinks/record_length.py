"""The frame of a record in a file of samples: its length, a base-128 varint of protobuf."""

# No record is longer: a length beyond it is no length.
MAX_RECORD_BYTES = 1 << 20

# Enough for any length below 2**35.
_MAX_BYTES = 5


def encode_varint(value: int) -> bytes:
    """The varint of a number that is not negative."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def decode_varint(data: bytes | memoryview, position: int) -> tuple[int, int] | None:
    """The number at `position`, and the position after it. None: there is no whole varint."""
    value = 0
    for i, byte in enumerate(data[position : position + _MAX_BYTES]):
        value |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            return value, position + i + 1
    return None
