"""The library, `hash_storage` and the oracle agree with `b3sum` on the golden vectors."""

import shutil
import subprocess
from pathlib import Path

import pytest
from blake3 import blake3

from torchstash.content_store import hash_storage
from torchstash.content_store.hashing import portable
from torchstash.tests.content_store.golden_vectors import (
    GOLDEN_FILE,
    GOLDEN_SIZES,
    golden_digests,
    pattern,
)
from torchstash.tests.content_store.storages import storage_of, tensor_of


def test_the_file_has_every_size() -> None:
    assert tuple(golden_digests()) == GOLDEN_SIZES


@pytest.mark.parametrize("size_bytes", GOLDEN_SIZES)
def test_library(size_bytes: int) -> None:
    assert blake3(pattern(size_bytes)).hexdigest() == golden_digests()[size_bytes]


@pytest.mark.parametrize("size_bytes", GOLDEN_SIZES)
def test_hash_storage(device: str, size_bytes: int) -> None:
    storage = storage_of(pattern(size_bytes), device)
    assert hash_storage(storage) == golden_digests()[size_bytes]


@pytest.mark.parametrize("size_bytes", GOLDEN_SIZES)
def test_oracle(device: str, size_bytes: int) -> None:
    tensor = tensor_of(pattern(size_bytes), device)
    assert portable.digest(tensor).hex == golden_digests()[size_bytes]


def test_b3sum_prints_the_file(tmp_path: Path) -> None:
    """The file came from this command; where it is installed, it still says the same."""
    b3sum = shutil.which("b3sum")
    if b3sum is None:
        return  # The golden file alone serves.
    for size_bytes in GOLDEN_SIZES:
        (tmp_path / f"{size_bytes}.bin").write_bytes(pattern(size_bytes))
    names = [f"{size_bytes}.bin" for size_bytes in GOLDEN_SIZES]
    printed = subprocess.run(
        [b3sum, *names], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert printed.stdout == GOLDEN_FILE.read_text()
