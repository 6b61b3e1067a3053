"""The Metal kernels' arithmetic and launches, on the host. On a Mac: the suites of mps."""

import os
from pathlib import Path

import pytest
import torch
from blake3 import blake3

from torchstash.content_store.hashing import metal_device
from torchstash.content_store.hashing.geometry import Geometry
from torchstash.tests.content_store.golden_vectors import GOLDEN_SIZES, golden_digests, pattern
from torchstash.tests.content_store.hashing.metal_on_host import KernelsOnHost
from torchstash.tests.content_store.storages import storage_of

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> KernelsOnHost:
    return KernelsOnHost(Path(tmp_path_factory.mktemp("metal")))


def test_golden_vectors(kernels: KernelsOnHost) -> None:
    storages = [storage_of(pattern(size_bytes)) for size_bytes in GOLDEN_SIZES]
    digests = metal_device.begin(storages, CPU, kernels=kernels)()
    assert [raw.hex() for raw in digests] == list(golden_digests().values())


@pytest.mark.parametrize("piece_chunks", [1, 2, 8])
def test_pieces(kernels: KernelsOnHost, piece_chunks: int) -> None:
    """Every number of chunks up to 40, with and without a short one at the end."""
    contents = [os.urandom(1024 * chunks - cut) for chunks in range(1, 41) for cut in (0, 7, 1000)]
    storages = [storage_of(data) for data in contents]
    geometry = Geometry(piece_chunks=piece_chunks)
    digests = metal_device.begin(storages, CPU, kernels=kernels, geometry=geometry)()
    assert [raw.hex() for raw in digests] == [blake3(data).hexdigest() for data in contents]
