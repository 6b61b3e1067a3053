"""Frames of slices: what is encoded is applied again, wherever the changes are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchstash.cache.envelope.zstandard import compress
from torchstash.content_store.deltas.sparse_frame import (
    WORD_SIZES_BYTES,
    decode_frame,
    encode_frame,
)
from torchstash.tests.faults.effort import effort

words = st.sampled_from(WORD_SIZES_BYTES)


def difference_at(places: list[int], count: int, word_bytes: int) -> np.ndarray:
    octets = np.zeros((count, word_bytes), np.uint8)
    for place in places:
        octets[place, place % word_bytes] = 1 + place % 255
    return octets.reshape(-1)


@settings(max_examples=effort(100), deadline=None)
@given(
    gaps=st.lists(st.one_of(st.integers(0, 3), st.integers(253, 257), st.just(70_000)), max_size=9),
    after=st.integers(0, 300),
    word_bytes=words,
    data=st.data(),
)
def test_gaps_of_every_length(
    gaps: list[int], after: int, word_bytes: int, data: st.DataObject
) -> None:
    places = [int(place) for place in np.cumsum([gap + 1 for gap in gaps]) - 1] if gaps else []
    count = (places[-1] if places else 0) + 1 + after
    difference = difference_at(places, count, word_bytes)
    frame = encode_frame(difference, word_bytes)
    assert (frame == b"") == (not places)
    if not places:
        return
    decoded = decode_frame(memoryview(frame), len(difference), word_bytes)
    assert decoded is not None
    begin = data.draw(st.integers(0, count))
    end = data.draw(st.integers(begin, count))
    target = np.full((end - begin) * word_bytes, 170, np.uint8)
    decoded.apply(begin * word_bytes, target)
    assert np.array_equal(target ^ 170, difference[begin * word_bytes : end * word_bytes])
    # For a slice that ends before the last change it is none.
    assert decode_frame(memoryview(frame), places[-1] * word_bytes, word_bytes) is None


@pytest.mark.parametrize("word_bytes", WORD_SIZES_BYTES)
def test_all_of_a_slice(word_bytes: int) -> None:
    difference = np.random.default_rng(0).integers(0, 256, 1 << 16, np.uint8)
    decoded = decode_frame(
        memoryview(encode_frame(difference, word_bytes)), len(difference), word_bytes
    )
    assert decoded is not None
    target = np.zeros_like(difference)
    decoded.apply(0, target)
    assert np.array_equal(target, difference)


@settings(max_examples=effort(100), deadline=None)
@given(contents=st.binary(max_size=40), word_bytes=words)
def test_contents_that_are_none(contents: bytes, word_bytes: int) -> None:
    """Whatever is in a frame, nothing but the slice is written to."""
    for head in (b"", bytes([1, 0, 0, 0, 0, 0, 0, 0]), bytes([2, 0, 0, 0, 1, 0, 0, 0])):
        decoded = decode_frame(memoryview(compress(head + contents, 1)), 64, word_bytes)
        if decoded is not None:
            target = np.zeros(64, np.uint8)
            decoded.apply(0, target)
    assert decode_frame(memoryview(contents), 64, word_bytes) is None


def test_a_frame_that_would_be_too_large() -> None:
    assert decode_frame(memoryview(compress(bytes(64 << 20), 1)), 4096, 1) is None
