"""The Triton kernels under Triton's interpreter, on the CPU. On a GPU: the suites of cuda.

The interpreter takes a while for each program of a launch, however many lanes it has: so
programs are wide here, and storages are hashed in batches.
"""

import os
import random

import pytest
import torch
from blake3 import blake3

from torchstash.content_store.hashing.geometry import BARRIERS, Geometry
from torchstash.tests.content_store.golden_vectors import GOLDEN_SIZES, golden_digests, pattern
from torchstash.tests.content_store.storages import storage_of

if os.environ.get("TRITON_INTERPRET") != "1":
    # Bazel sets it. Set for a whole run it would have a GPU's kernels interpreted as well.
    pytest.skip("needs TRITON_INTERPRET=1 and a process of its own", allow_module_level=True)

CPU = torch.device("cpu")


def digests_of(storages: list[torch.UntypedStorage], geometry: Geometry) -> list[str]:
    from torchstash.content_store.hashing import triton_device  # noqa: PLC0415 - needs Triton

    return [raw.hex() for raw in triton_device.begin(storages, CPU, geometry)()]


def digests(contents: list[bytes], geometry: Geometry) -> list[str]:
    return digests_of([storage_of(data) for data in contents], geometry)


def expected(contents: list[bytes]) -> list[str]:
    return [blake3(data).hexdigest() for data in contents]


def test_golden_vectors() -> None:
    contents = [pattern(size_bytes) for size_bytes in GOLDEN_SIZES]
    geometry = Geometry(lanes=2048, span_rows=BARRIERS.span_rows, levels=BARRIERS.levels)
    assert digests(contents, geometry) == list(golden_digests().values())


def test_a_launch_for_each_level() -> None:
    generator = random.Random(0)
    contents = [generator.randbytes(size) for size in (5, 1024, 12_001)]
    assert digests(contents, Geometry(lanes=64, span_rows=512, levels=1)) == expected(contents)


def test_random_sizes_in_pieces_and_windows() -> None:
    """Short and whole chunks, several pieces, several spans, in one batch."""
    generator = random.Random(1)
    contents = [generator.randbytes(size) for size in (22_000, 0, 1500, 4096, 900)]
    geometry = Geometry(lanes=64, span_rows=8, levels=3, piece_chunks=16, padded_chunks=8)
    # Two windows: all sizes together are 30 chunks.
    assert digests(contents, geometry) == expected(contents)


def test_behind_an_odd_address() -> None:
    """All chunks are copied before lanes can load them."""
    data = bytearray(pattern(5 * 1024 + 77))
    tensors = [torch.frombuffer(memoryview(data)[i:], dtype=torch.uint8) for i in (3, 16)]
    geometry = Geometry(lanes=64, span_rows=4, levels=2, piece_chunks=64, padded_chunks=8)
    found = digests_of([tensor.untyped_storage() for tensor in tensors], geometry)
    assert found == expected([bytes(data[3:]), bytes(data[16:])])
