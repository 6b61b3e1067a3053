import ctypes
import pickle
from typing import Any

import numpy as np
import pytest
from blake3 import blake3

from torchstash.cache import Digest

# BLAKE3's own test vectors: the input is 0, 1, ..., 250, 0, 1, ...
_VECTORS = {
    0: "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
    1: "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
    1023: "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11",
    1024: "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
    1025: "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444",
}


def _input(size_bytes: int) -> bytes:
    return bytes(i % 251 for i in range(size_bytes))


@pytest.mark.parametrize(("size_bytes", "expected"), _VECTORS.items())
def test_is_blake3(size_bytes: int, expected: str) -> None:
    assert Digest.of(_input(size_bytes)).hex == expected


def test_large_buffers_hash_the_same_as_in_pieces() -> None:
    data = bytes(range(256)) * (40 << 10)
    pieces = blake3()
    for start in range(0, len(data), 1 << 20):
        pieces.update(data[start : start + (1 << 20)])
    assert Digest.of(data).raw == pieces.digest()


def test_any_contiguous_buffer_is_its_bytes() -> None:
    array: Any = np.arange(12, dtype=np.float32).reshape(3, 4)
    expected = Digest.of(array.tobytes())
    assert Digest.of(array) == expected
    assert Digest.of(memoryview(array)) == expected
    assert Digest.of(bytearray(array.tobytes())) == expected
    assert Digest.of((ctypes.c_float * 12)(*range(12))) == expected
    empty: Any = np.zeros((0, 3))
    assert Digest.of(empty) == Digest.of(b"")


def test_strided_buffers_are_refused() -> None:
    strided: Any = np.arange(12)[::2]
    with pytest.raises(TypeError, match="contiguous"):
        Digest.of(strided)
    with pytest.raises(TypeError):
        Digest.of("text")  # type: ignore[arg-type]


def test_is_a_value() -> None:
    digest = Digest.of(b"x")
    assert Digest.from_hex(digest.hex) == digest
    assert Digest.from_hex(digest.hex.upper()) == digest
    assert str(digest) == digest.hex
    assert len({digest, Digest(digest.raw)}) == 1
    assert Digest(bytes(32)) < Digest(b"\1" + bytes(31))
    assert pickle.loads(pickle.dumps(digest)) == digest
    with pytest.raises(AttributeError):
        digest.raw = bytes(32)  # type: ignore[misc]


@pytest.mark.parametrize("raw", [b"", bytes(31), bytes(33)])
def test_other_sizes_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Digest(raw)


@pytest.mark.parametrize("text", ["", "ab", "g" * 64, "0" * 63, " " * 64, "00 " * 21 + "0"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"hex|32 bytes"):
        Digest.from_hex(text)
