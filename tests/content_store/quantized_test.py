"""Quantized tensors come back with their quantizer, bit for bit."""

import itertools
import warnings
from collections.abc import Iterator

import pytest
import torch

from torchstash.content_store import UnsupportedTensorError
from torchstash.tests.content_store.store_fixtures import Store, store
from torchstash.tests.content_store.tensor_equality import assert_same

__all__ = ["store"]  # A fixture that pytest finds here.

WHOLE_BYTES = (torch.qint8, torch.quint8, torch.qint32)
PACKED = (torch.quint4x2, torch.quint2x4)


@pytest.fixture(autouse=True)
def deprecated() -> Iterator[None]:
    """PyTorch says once per process that its quantized types are deprecated."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*deprecated.*", category=UserWarning)
        yield


def per_tensor(dtype: torch.dtype, sizes: list[int], scale: float = 0.1) -> torch.Tensor:
    x = torch._empty_affine_quantized(sizes, scale=scale, zero_point=3, dtype=dtype)
    storage = x.untyped_storage()
    storage.copy_(torch.arange(storage.nbytes()).to(torch.uint8).untyped_storage())
    return x


@pytest.mark.parametrize("dtype", WHOLE_BYTES, ids=str)
def test_per_tensor(store: Store, dtype: torch.dtype) -> None:
    x = per_tensor(dtype, [4, 6], scale=1 / 3)
    for i, view in enumerate((x, x.t(), x[1:, ::2], x[2, 3], x[4:], x[0].expand(3, 6))):
        read = store.round_trip(view, str(i))
        assert_same(read, view)
        assert torch.equal(read.dequantize(), view.dequantize())


@pytest.mark.parametrize("dtype", WHOLE_BYTES, ids=str)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_per_channel(store: Store, dtype: torch.dtype, axis: int) -> None:
    sizes = (2, 3, 4)
    x = torch.quantize_per_channel(
        torch.linspace(-1, 1, 24).view(sizes),
        torch.linspace(0.01, 1 / 3, sizes[axis], dtype=torch.float64),
        torch.arange(sizes[axis]),
        axis,
        dtype,
    )
    read = store.round_trip(x)
    assert_same(read, x)
    assert torch.equal(read.dequantize(), x.dequantize())


def test_per_channel_channels_last(store: Store) -> None:
    x = torch.quantize_per_channel(
        torch.linspace(-1, 1, 120).view(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        torch.tensor([0.1, 0.2, 0.3]),
        torch.tensor([0, 1, 2]),
        1,
        torch.qint8,
    )
    read = store.round_trip(x)
    assert_same(read, x)
    assert torch.equal(read.dequantize(), x.dequantize())


@pytest.mark.parametrize("dtype", [torch.quint8, torch.quint4x2], ids=str)
def test_per_channel_with_real_zero_points(store: Store, dtype: torch.dtype) -> None:
    """As in quantized embeddings. A scale of 0 is what a constant row gets."""
    x = torch.quantize_per_channel(
        torch.linspace(-1, 1, 10).view(2, 5),
        torch.tensor([1 / 3, 0.0]),
        torch.tensor([3.3, -1 / 7]),
        0,
        dtype,
    )
    assert x.qscheme() == torch.per_channel_affine_float_qparams
    read = store.round_trip(x)
    assert_same(read, x)
    if dtype is torch.quint8:
        assert torch.equal(read.dequantize(), x.dequantize())


def test_real_zero_points_are_subtracted() -> None:
    """The formula that the schema gives: (integer - zero_point) * scale, in float32."""
    scales, zero_points = torch.tensor([[0.1], [0.2]]), torch.tensor([[3.3], [4.7]])
    x = torch.quantize_per_channel(
        torch.linspace(-1, 1, 6).view(2, 3), scales[:, 0], zero_points[:, 0], 0, torch.quint8
    )
    assert torch.equal((x.int_repr().float() - zero_points) * scales, x.dequantize())


@pytest.mark.parametrize("dtype", PACKED, ids=str)
@pytest.mark.parametrize("sizes", [[], [0], [1], [5], [2, 3], [3, 0], [0, 3], [2, 3, 5]], ids=str)
def test_packed(store: Store, dtype: torch.dtype, sizes: list[int]) -> None:
    x = per_tensor(dtype, sizes)
    assert_same(store.round_trip(x), x)


@pytest.mark.parametrize("dtype", PACKED, ids=str)
def test_views_of_packed_tensors_are_refused(store: Store, dtype: torch.dtype) -> None:
    x = per_tensor(dtype, [4, 6])
    for view in (x.t(), x[1:]):
        with pytest.raises(UnsupportedTensorError, match="packed"):
            store.writer.write_tensor("x", view)


def test_without_a_quantizer(store: Store) -> None:
    with pytest.raises(UnsupportedTensorError, match="without a quantizer"):
        store.writer.write_tensor("x", torch.empty(4, dtype=torch.qint8))


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_scales_that_mean_nothing(store: Store, scale: float) -> None:
    with pytest.raises(UnsupportedTensorError, match="scale"):
        store.writer.write_tensor("x", per_tensor(torch.qint8, [3], scale=scale))


def test_equal_bytes_share_a_storage_whatever_the_quantizer(store: Store) -> None:
    tensors = [per_tensor(torch.qint8, [4], scale=scale) for scale in (0.5, 0.25)]
    for i, x in enumerate(tensors):
        store.writer.write_tensor(str(i), x)
    read = [store.reader.read_tensor(str(i)) for i in range(2)]
    assert [x.q_scale() for x in read] == [0.5, 0.25]
    for a, b in itertools.pairwise(read):
        assert a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()
