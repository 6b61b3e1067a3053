"""What a name leads to, in bytes: its note, and all contents with their sizes and links.

    bytes 0-43     as `keyed_frame.py` says, of "tstoname"
    then           length of the note (4 bytes; FFFFFFFF: there is none), the note
    then           number of contents (4 bytes), and for each
                       its digest (32), its size (8), the number of its links (4),
                       for each link (4) the number of the contents that it leads to

Numbers are little-endian and without sign. The first contents are those that the name names. A link
leads to later contents, so that there is no cycle.
"""

import struct
from typing import Final

from torchstash.cache.digest import Digest
from torchstash.cache.disk import LinkedContents, LinkedEntry
from torchstash.content_store.movement.keyed_frame import KeyedFrame

_COUNT: Final = struct.Struct("<I")
_CONTENTS: Final = struct.Struct("<32sQI")
_NO_NOTE: Final = 0xFFFFFFFF


class BadRecordError(Exception):
    """Says what was found, for the message of the public error."""


class NewerRecordError(BadRecordError):
    """A newer version of torchstash wrote it."""


_FRAME: Final = KeyedFrame(b"tstoname", "record", BadRecordError, NewerRecordError)


def encode_record(key: str, entry: LinkedEntry) -> bytes:
    """The record of `key`."""
    numbers = {each.digest: i for i, each in enumerate(entry.contents)}
    note = entry.note
    pieces = [_COUNT.pack(_NO_NOTE if note is None else len(note)), note or b""]
    pieces.append(_COUNT.pack(len(entry.contents)))
    for each in entry.contents:
        pieces.append(_CONTENTS.pack(each.digest.raw, each.size_bytes, len(each.links)))
        pieces.extend(_COUNT.pack(numbers[link]) for link in each.links)
    return _FRAME.framed(key, b"".join(pieces))


def decode_record(key: str, data: bytes) -> LinkedEntry:
    """The inverse of `encode_record`. Nothing is believed unchecked.

    Raises:
        BadRecordError: These are not the bytes of a record of `key`.
    """
    try:
        return _decoded(_FRAME.body_of(key, data))
    except struct.error as error:
        raise BadRecordError(f"{len(data)} bytes, which are too few") from error


def _decoded(body: bytes) -> LinkedEntry:
    (note_bytes,) = _COUNT.unpack_from(body)
    position = _COUNT.size
    note = None
    if note_bytes != _NO_NOTE:
        note = body[position : position + note_bytes]
        position += note_bytes
    (count,) = _COUNT.unpack_from(body, position)
    position += _COUNT.size
    found: list[tuple[Digest, int, tuple[int, ...]]] = []
    for number in range(count):
        digest, size_bytes, links = _CONTENTS.unpack_from(body, position)
        position += _CONTENTS.size
        numbers = struct.unpack_from(f"<{links}I", body, position)
        position += links * _COUNT.size
        if any(not number < link < count for link in numbers):
            raise BadRecordError("a record whose links lead nowhere")
        found.append((Digest(digest), size_bytes, numbers))
    digests = [digest for digest, _, _ in found]
    if not found or position != len(body) or len(set(digests)) != count:
        raise BadRecordError("a record that contradicts itself")
    return LinkedEntry(
        note,
        tuple(
            LinkedContents(digest, size_bytes, tuple(digests[link] for link in numbers))
            for digest, size_bytes, numbers in found
        ),
    )
