"""A delta that an earlier version wrote is applied by all later ones.

The file was written by the first version that had deltas. It never changes; a new encoding gets a
new file. Its contents: from `golden_vectors.pattern` to `changed`.
"""

from pathlib import Path

import numpy as np
import pytest

from torchstash.cache.digest import Digest
from torchstash.content_store.deltas.delta import BrokenDeltaError, Delta
from torchstash.tests.content_store.golden_vectors import pattern

GOLDEN_FILE = Path(__file__).parent / "golden" / "storage_delta.bin"
GOLDEN_DIGEST = "d168216a74c47b7601681b7a5c05ce1298d72432e697e2190d892efd74ccf9c0"
# Three slices: one that differs, one that does not, one that is shorter.
SIZE_BYTES = 2_200_000


def changed() -> bytes:
    octets = bytearray(pattern(SIZE_BYTES))
    for i in range(3, 1 << 20, 1009):
        octets[i] ^= i % 256
    octets[-1] ^= 255
    return bytes(octets)


def applied(contents: bytes, before: bytes, step: int) -> bytes:
    """`before` with the delta applied to it, so many bytes at a time."""
    octets = np.frombuffer(bytearray(before), np.uint8)
    delta = Delta.parse(memoryview(contents), len(before))
    for start in range(0, len(before), step):
        delta.apply(start, octets[start : start + step])
    return octets.tobytes()


@pytest.mark.parametrize("step", [SIZE_BYTES, 1 << 20, 300_000])
def test_the_golden_delta_leads_there_and_back(step: int) -> None:
    contents = GOLDEN_FILE.read_bytes()
    before, after = pattern(SIZE_BYTES), changed()
    assert Digest.of(after).hex == GOLDEN_DIGEST
    assert applied(contents, before, step) == after
    assert applied(contents, after, step) == before


def test_it_says_where_nothing_differs() -> None:
    delta = Delta.parse(memoryview(GOLDEN_FILE.read_bytes()), SIZE_BYTES)
    assert [delta.differs(i << 20, (i + 1) << 20) for i in range(3)] == [True, False, True]


def test_it_is_for_no_other_size() -> None:
    with pytest.raises(BrokenDeltaError, match="2200000 bytes, not 2200001"):
        Delta.parse(memoryview(GOLDEN_FILE.read_bytes()), SIZE_BYTES + 1)
