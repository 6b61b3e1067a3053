"""Records: golden bytes, to and fro, and whatever else comes with a right checksum."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchstash.cache.digest import Digest
from torchstash.cache.disk import LinkedContents, LinkedEntry
from torchstash.content_store.movement import record
from torchstash.content_store.movement.record import (
    BadRecordError,
    NewerRecordError,
    decode_record,
    encode_record,
)
from torchstash.tests.faults.effort import effort

A, B = Digest(b"a" * 32), Digest(b"b" * 32)
ENTRY = LinkedEntry(b"note", (LinkedContents(A, 5, (B,)), LinkedContents(B, 1 << 40, ())))
GOLDEN = (
    b"tstoname\x01\0\0\0"
    + bytes.fromhex("b06d3a406bd8ce65fa628b3a76b90727cec778772a39dcdda22593ca3fbfba26")
    + b"\x04\0\0\0note\x02\0\0\0"
    + (b"a" * 32 + b"\x05\0\0\0\0\0\0\0\x01\0\0\0\x01\0\0\0")
    + (b"b" * 32 + b"\0\0\0\0\0\x01\0\0\0\0\0\0")
)


def sealed(body: bytes) -> bytes:
    """A record with that body, its checksum right."""
    return record._FRAME.framed("tensors/x", body)


def test_golden_bytes() -> None:
    assert encode_record("tensors/x", ENTRY) == GOLDEN
    assert decode_record("tensors/x", GOLDEN) == ENTRY


def test_a_record_is_of_its_key() -> None:
    with pytest.raises(BadRecordError, match="checksum"):
        decode_record("tensors/y", GOLDEN)
    with pytest.raises(NewerRecordError):
        decode_record("tensors/x", GOLDEN[:8] + b"\2" + GOLDEN[9:])


@pytest.mark.parametrize("note", [None, b"", b"x" * 1000])
def test_notes(note: bytes | None) -> None:
    entry = LinkedEntry(note, (LinkedContents(A, 0, ()),))
    assert decode_record("k", encode_record("k", entry)) == entry


@settings(max_examples=effort(500), deadline=None)
@given(st.data())
def test_any_bytes_under_a_right_checksum(data: st.DataObject) -> None:
    body = GOLDEN[44:]
    position = data.draw(st.integers(0, len(body)))
    removed = data.draw(st.integers(0, 40))
    damaged = body[:position] + data.draw(st.binary(max_size=40)) + body[position + removed :]
    try:
        entry = decode_record("tensors/x", sealed(damaged))
    except BadRecordError:
        return
    # It means something: then it is what that is written as.
    assert encode_record("tensors/x", entry) == sealed(damaged)
