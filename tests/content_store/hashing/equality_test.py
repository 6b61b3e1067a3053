"""`hash_storage` and the oracle equal the library over sizes, offsets, dtypes and slices."""

import torch
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from torchstash.content_store import hash_storage
from torchstash.content_store.hashing import host, portable
from torchstash.content_store.staging import staging
from torchstash.tests.content_store.golden_vectors import pattern
from torchstash.tests.content_store.storages import bytes_of, has_dtype, storage_of, tensor_of

SIZES = st.one_of(st.integers(0, 5000), st.integers(0, 70).map(lambda n: n * 1024))
DTYPES = (torch.uint8, torch.int16, torch.bfloat16, torch.float32, torch.float64, torch.complex64)
FEW = settings(max_examples=60, deadline=None, derandomize=True)


@FEW
@given(size_bytes=SIZES, seed=st.integers(0, 255))
def test_sizes(device: str, size_bytes: int, seed: int) -> None:
    data = bytes((b + seed) % 256 for b in pattern(size_bytes))
    tensor = tensor_of(data, device)
    expected = blake3(data).hexdigest()
    assert hash_storage(tensor.untyped_storage()) == expected
    assert portable.digest(tensor).hex == expected


@FEW
@given(elements=st.integers(1, 700), start=st.integers(0, 40), dtype=st.sampled_from(DTYPES))
def test_views_hash_their_whole_storage(
    device: str, elements: int, start: int, dtype: torch.dtype
) -> None:
    if not has_dtype(device, dtype):
        return
    generator = torch.Generator().manual_seed(elements)
    whole = torch.randn(elements + start, generator=generator).to(dtype).to(device)
    view = whole[start:]
    assert hash_storage(view.untyped_storage()) == portable.digest(whole).hex
    assert (
        hash_storage(view.untyped_storage()) == blake3(bytes_of(view.untyped_storage())).hexdigest()
    )


@FEW
@given(size_bytes=st.integers(0, 9000), slice_bytes=st.integers(1, 3000))
def test_slices_on_the_way_through_the_host(device: str, size_bytes: int, slice_bytes: int) -> None:
    data = pattern(size_bytes)
    digest = host.digest(storage_of(data, device), slice_bytes=slice_bytes)
    assert digest.hex == blake3(data).hexdigest()


def test_the_host_stages_in_pinned_memory(device: str) -> None:
    """Where the device copies into that: at the speed of the bus."""
    on = storage_of(b"abc", device).device
    assert staging(100, on).is_pinned() == (device in {"cuda", "xpu"})


def test_beyond_the_threshold_of_threads(device: str) -> None:
    data = pattern((8 << 20) + 1)
    assert hash_storage(storage_of(data, device)) == blake3(data).hexdigest()


def test_a_storage_behind_an_odd_address() -> None:
    """Frombuffer tensors begin wherever their buffer does."""
    data = bytearray(pattern(5000))
    tensor = torch.frombuffer(memoryview(data)[3:], dtype=torch.uint8)
    assert hash_storage(tensor.untyped_storage()) == blake3(data[3:]).hexdigest()
