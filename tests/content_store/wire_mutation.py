"""Changes to serialized protobuf messages that keep their structure, or nearly.

A message is taken apart by its wire format (protobuf.dev, "Encoding") as deep as it can be read as
messages; then a few fields are dropped, doubled, moved, renumbered, or given values at the edges.
Unlike flipped bytes this gets past the parser, to the checks behind it.
"""

from copy import deepcopy
from dataclasses import dataclass
from random import Random

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_EDGES = (
    *(0, 1, 2, 3, 7, 31, 32, 33, 64, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40),
    *(2**62, 2**63 - 1, 2**63, 2**64 - 1),
)
_OCTETS = (
    *(b"", b"\0", b"\xff", b"x", b"float32", b"quint4x2", b"cpu", b"cuda", b"meta", b"toaster"),
    *(bytes(31), bytes(32), bytes(33), b"\xff" * 9, b"\xed\xa0\x80", b"__doc__"),
)
_DEEPEST = 12


@dataclass(slots=True)
class Field:
    """One field: its number, its wire type, and its value."""

    number: int
    kind: int
    value: "int | bytes | list[Field]"


def mutated(message: bytes, random: Random) -> bytes:
    """`message` with one to four changes."""
    fields = _parsed(message, 0)
    if fields is None:
        return message
    for _ in range(random.randint(1, 4)):
        _mutate(fields, random)
    return _serialized(fields)


def _mutate(fields: list[Field], random: Random) -> None:
    places = list(_lists(fields))
    place = random.choice(places)
    if not place:
        place.append(Field(random.randint(1, 18), _VARINT, random.choice(_EDGES)))
        return
    i = random.randrange(len(place))
    field = place[i]
    match random.randrange(8):
        case 0:
            del place[i]
        case 1:
            place.insert(random.randrange(len(place) + 1), deepcopy(field))
        case 2:
            j = random.randrange(len(place))
            place[i], place[j] = place[j], place[i]
        case 3:
            place[i] = Field(random.randint(1, 20), field.kind, field.value)
        case 4:
            # A part of the message somewhere else, itself within itself included.
            other = random.choice([each for each in places if each])
            place[i] = Field(field.number, field.kind, deepcopy(random.choice(other).value))
            place[i].kind = _kind_of(place[i].value)
        case _:
            place[i] = Field(field.number, *_changed(field, random))


def _changed(field: Field, random: Random) -> "tuple[int, int | bytes | list[Field]]":
    if isinstance(field.value, int):
        return field.kind, random.choice((*_EDGES, field.value + 1, max(0, field.value - 1)))
    if isinstance(field.value, bytes) and field.value and random.randrange(3):
        octets = bytearray(field.value)
        octets[random.randrange(len(octets))] = random.randrange(256)
        return _LENGTH, bytes(octets)
    return _LENGTH, random.choice(_OCTETS)


def _kind_of(value: "int | bytes | list[Field]") -> int:
    return _VARINT if isinstance(value, int) else _LENGTH


def _lists(fields: list[Field]) -> "list[list[Field]]":
    found = [fields]
    for field in fields:
        if isinstance(field.value, list):
            found += _lists(field.value)
    return found


def _parsed(data: bytes, depth: int) -> list[Field] | None:
    """The fields of a message; None where these bytes are none."""
    fields: list[Field] = []
    at = 0
    try:
        while at < len(data):
            tag, at = _varint(data, at)
            number, kind = tag >> 3, tag & 7
            value: int | bytes | list[Field]
            if kind == _VARINT:
                value, at = _varint(data, at)
            elif kind in (_FIXED32, _FIXED64):
                end = at + (4 if kind == _FIXED32 else 8)
                value, at = int.from_bytes(data[at:end], "little"), end
            elif kind == _LENGTH:
                length, at = _varint(data, at)
                octets, at = data[at : at + length], at + length
                inner = _parsed(octets, depth + 1) if octets and depth < _DEEPEST else None
                value = octets if inner is None else inner
            else:
                return None
            if not number or at > len(data):
                return None
            fields.append(Field(number, kind, value))
    except IndexError:
        return None
    return fields


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        octet = data[at]
        value |= (octet & 127) << shift
        at, shift = at + 1, shift + 7
        if octet < 128:
            return value, at


def _serialized(fields: list[Field]) -> bytes:
    out = bytearray()
    for field in fields:
        value = field.value
        if isinstance(value, list):
            value = _serialized(value)
        kind = field.kind
        if isinstance(value, bytes):
            out += _tag(field.number, _LENGTH) + _number(len(value)) + value
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
            out += _tag(field.number, kind) + (value % (1 << 8 * size)).to_bytes(size, "little")
        else:
            out += _tag(field.number, _VARINT) + _number(value % (1 << 64))
    return bytes(out)


def _tag(number: int, kind: int) -> bytes:
    return _number(number << 3 | kind)


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
