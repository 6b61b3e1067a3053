"""Records and numbers of SQLite's files (sqlite.org/fileformat2.html, sections 1.6 and 2.1)."""

import struct

Value = int | float | bytes | str | None

_SIZES_BYTES = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)
_FLOAT, _ZERO, _ONE = 7, 8, 9
_FIRST_BLOB, _FIRST_TEXT = 12, 13


class DamagedRecordError(ValueError):
    """Bytes that SQLite has not written so."""


def varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at `at`, and where it ends. Raises `DamagedRecordError`."""
    if at < len(data) and data[at] < 128:  # As most are.
        return data[at], at + 1
    value = 0
    for i in range(at, min(at + 8, len(data))):
        value = value << 7 | data[i] & 127
        if data[i] < 128:
            return value, i + 1
    if at + 8 >= len(data):
        raise DamagedRecordError("a number that does not end")
    return value << 8 | data[at + 8], at + 9


def signed(value: int) -> int:
    """A number of 64 bits as SQLite takes it."""
    return value - (1 << 64) if value >= 1 << 63 else value


def decode_record(payload: bytes) -> tuple[Value, ...]:
    """The columns of a row. Raises `DamagedRecordError`."""
    header_bytes, at = varint(payload, 0)
    if header_bytes > len(payload):
        raise DamagedRecordError("a header that is longer than its record")
    kinds = []
    while at < header_bytes:
        kind, at = varint(payload, at)
        kinds.append(kind)
    if at != header_bytes:
        raise DamagedRecordError("a header that does not end where it says")
    values: list[Value] = []
    for kind in kinds:
        size_bytes = _size_bytes(kind)
        if at + size_bytes > len(payload):
            raise DamagedRecordError("a record that is cut short")
        values.append(_value(kind, payload[at : at + size_bytes]))
        at += size_bytes
    if at != len(payload):
        raise DamagedRecordError("a record with bytes behind it")
    return tuple(values)


def _size_bytes(kind: int) -> int:
    if kind < len(_SIZES_BYTES):
        return _SIZES_BYTES[kind]
    if kind < _FIRST_BLOB:
        raise DamagedRecordError(f"a value of the kind {kind}")
    return (kind - _FIRST_BLOB) // 2


def _value(kind: int, octets: bytes) -> Value:
    if kind == 0:
        return None
    if kind in (_ZERO, _ONE):
        return kind - _ZERO
    if kind == _FLOAT:
        return float(struct.unpack(">d", octets)[0])
    if kind < _ZERO:
        return int.from_bytes(octets, "big", signed=True)
    if kind % 2 == _FIRST_TEXT % 2:
        try:
            return octets.decode()
        except UnicodeDecodeError as error:
            raise DamagedRecordError("text that is none") from error
    return octets
