"""Sets of names: golden bytes, to and fro, and whatever else comes with a right checksum."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchstash.content_store.movement import name_set
from torchstash.content_store.movement.name_set import (
    BadNameSetError,
    NewerNameSetError,
    decode_name_set,
    encode_name_set,
)

KEY = "store/1/names/05"
GOLDEN = (
    b"tstonset\x01\0\0\0"
    + bytes.fromhex("51cb093c08ffa692efde520516662bd4df5cb4d2d2eb62bd58c2c7d549949c7a")
    + b"\x03\0\0\0"
    + b"\x0b\0snapshots/b\x09\0tensors/a\x0a\0tensors/\xc3\xa4"
)


def sealed(body: bytes) -> bytes:
    """A set with that body, its checksum right."""
    return name_set._FRAME.framed(KEY, body)


def test_golden_bytes() -> None:
    texts = {"tensors/a", "tensors/\N{LATIN SMALL LETTER A WITH DIAERESIS}", "snapshots/b"}
    assert encode_name_set(KEY, texts) == GOLDEN
    assert decode_name_set(KEY, GOLDEN) == texts


def test_a_set_is_of_its_key() -> None:
    with pytest.raises(BadNameSetError, match="checksum"):
        decode_name_set("store/1/names/06", GOLDEN)
    with pytest.raises(NewerNameSetError):
        decode_name_set(KEY, GOLDEN[:8] + b"\2" + GOLDEN[9:])
    for short in range(len(GOLDEN)):
        with pytest.raises(BadNameSetError):
            decode_name_set(KEY, GOLDEN[:short])


@given(st.sets(st.text(max_size=30)))
def test_to_and_fro(texts: set[str]) -> None:
    assert decode_name_set(KEY, encode_name_set(KEY, texts)) == texts


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_any_bytes_under_a_right_checksum(data: st.DataObject) -> None:
    body = GOLDEN[44:]
    position = data.draw(st.integers(0, len(body)))
    removed = data.draw(st.integers(0, 40))
    damaged = body[:position] + data.draw(st.binary(max_size=40)) + body[position + removed :]
    try:
        texts = decode_name_set(KEY, sealed(damaged))
    except BadNameSetError:
        return
    # It means something: then it is what that is written as.
    assert encode_name_set(KEY, texts) == sealed(damaged)
