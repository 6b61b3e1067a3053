"""Contents that weaker hashes confuse have addresses of their own."""

from itertools import pairwise

import pytest
import torch

from torchstash.content_store import hash_storage
from torchstash.tests.content_store.golden_vectors import pattern
from torchstash.tests.content_store.storages import has_dtype, storage_of

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64)


def address(tensor: torch.Tensor) -> str:
    return hash_storage(tensor.untyped_storage())


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_a_tensor_and_its_negative(device: str, dtype: torch.dtype) -> None:
    """Of all lengths 0 to 1000; of no elements they are the same contents."""
    if not has_dtype(device, dtype):
        return
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(1000, generator=generator).add_(0.5).to(dtype).to(device)
    for length in range(1001):
        x = values[:length].clone()
        assert (address(x) == address(-x)) == (length == 0), length


@pytest.mark.parametrize("dtype", [torch.int8, torch.int32, torch.int64], ids=str)
def test_integers_and_their_negatives(device: str, dtype: torch.dtype) -> None:
    values = torch.arange(1000, device=device).remainder(127).add(1).to(dtype)
    for length in range(1, 1001):
        x = values[:length].clone()
        assert address(x) != address(-x), length


def test_one_sign_flipped(device: str) -> None:
    x = torch.ones(513, device=device)
    addresses = {address(x)}
    for i in range(len(x)):
        y = x.clone()
        y[i] = -1
        addresses.add(address(y))
    assert len(addresses) == 514


def test_zeros_by_their_sign(device: str) -> None:
    assert address(torch.tensor([0.0], device=device)) != address(
        torch.tensor([-0.0], device=device)
    )


def test_one_hot(device: str) -> None:
    rows = torch.eye(700, device=device).unbind()
    assert len({address(row.clone()) for row in rows}) == 700


def test_permuted_chunks(device: str) -> None:
    """BLAKE3's chunks are 1024 bytes: their order counts, and so does that of larger pieces."""
    for piece in (64, 1024, 4096):
        pieces = [bytes([i]) * piece for i in range(4)]
        orders = [pieces, pieces[::-1], pieces[1:] + pieces[:1], [pieces[i] for i in (0, 2, 1, 3)]]
        assert len({hash_storage(storage_of(b"".join(order), device)) for order in orders}) == 4


def test_equal_pairs_do_not_cancel(device: str) -> None:
    a, b = pattern(1024), bytes(1024)
    assert hash_storage(storage_of(a + a, device)) != hash_storage(storage_of(b + b, device))


def test_padding_twins(device: str) -> None:
    """Zeros at the end are contents, not padding."""
    sizes = [1, 2, 3, 4, 8, 63, 64, 65, 128, 1023, 1024, 1025, 2048]
    addresses = [hash_storage(storage_of(b"\1" + bytes(size - 1), device)) for size in sizes]
    assert len(set(addresses)) == len(sizes)
    zeros = [hash_storage(storage_of(bytes(size), device)) for size in range(130)]
    assert len(set(zeros)) == 130
    assert all(a != b for a, b in pairwise(zeros))
