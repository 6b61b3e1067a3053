"""The kernel over a reader of our own: any tensor can be handed to it."""

from collections.abc import Callable

import pytest
import torch

from torchstash.prims import (
    ConversionError,
    DeviceMismatchError,
    MismatchError,
    PrimsError,
    SizeMismatchError,
    StrideMismatchError,
    UnsupportedDtypeError,
    load_tensor,
)
from torchstash.prims.current_reader import serve_from
from torchstash.tests.prims.dict_reader import DictReader

# Named by torch, not by its stubs.
_UINT4: torch.dtype = getattr(torch, "uint4")  # noqa: B009


def load_as_stored(
    tensor: torch.Tensor, device: str, dtype: torch.dtype | None = None
) -> torch.Tensor:
    with serve_from(DictReader(x=tensor)):
        return load_tensor(
            "x", tensor.size(), tensor.stride(), dtype=dtype or tensor.dtype, device=device
        )


def require_plain(result: torch.Tensor) -> None:
    assert type(result) is torch.Tensor
    assert result.storage_offset() == 0
    assert not result.is_conj()
    assert not result.is_neg()
    assert not result.requires_grad
    assert result.is_leaf


BASE = torch.arange(24.0)
VIEWS = {
    "contiguous": BASE.view(4, 6),
    "transposed": BASE.view(4, 6).t(),
    "offset": BASE[5:],
    "offset and strided": BASE.view(4, 6)[1:, 1::2],
    "expanded": BASE[3:7].view(4, 1).expand(4, 5),
    "overlapping": BASE.as_strided((5, 4), (2, 1), 3),
    "scalar": BASE[7],
    "empty": BASE.view(4, 6)[:, 2:2],
    "one element, odd strides": BASE.as_strided((1, 1), (9, 5), 2),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int16, torch.complex64])
@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_values_and_strides_survive_with_and_without_conversion(
    view: torch.Tensor, dtype: torch.dtype, device: str
) -> None:
    if device == "mps" and dtype == torch.float64:
        dtype = torch.float16
    result = load_as_stored(view, device, dtype)
    require_plain(result)
    assert result.dtype == dtype
    assert result.size() == view.size()
    assert result.stride() == view.stride()
    assert torch.equal(result.cpu(), view.to(dtype))


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex32])
@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
def test_lazy_conjugation_is_carried_out(dtype: torch.dtype, device: str) -> None:
    stored = torch.randn(4, 6, dtype=torch.complex64)[:, 1:].conj()
    assert stored.is_conj()
    result = load_as_stored(stored, device, dtype)
    require_plain(result)
    assert result.stride() == stored.stride()
    expected = torch.view_as_real(stored.resolve_conj().to(dtype))
    assert torch.equal(torch.view_as_real(result.cpu()), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_lazy_negation_is_carried_out(dtype: torch.dtype, device: str) -> None:
    stored = torch.randn(4, 6, dtype=torch.complex64).conj().imag
    assert stored.is_neg()
    result = load_as_stored(stored, device, dtype)
    require_plain(result)
    assert result.stride() == stored.stride()
    assert torch.equal(result.cpu(), stored.resolve_neg().to(dtype))


def test_gradients_and_parameters_become_plain_data(device: str) -> None:
    for stored in (torch.nn.Parameter(torch.ones(3)), torch.ones(3, requires_grad=True)):
        require_plain(load_as_stored(stored, device))
        require_plain(load_as_stored(stored, device, torch.float16))


def test_memory_that_a_kernel_cannot_use_is_copied(device: str) -> None:
    unaligned = torch.frombuffer(bytearray(range(64)), dtype=torch.uint8, offset=3, count=40)
    assert unaligned.data_ptr() % 16 != 0
    result = load_as_stored(unaligned, device)
    require_plain(result)
    assert result.data_ptr() % 16 == 0
    assert result.tolist() == list(range(3, 43))


def test_dtypes_that_do_not_even_copy_survive_an_offset() -> None:
    stored = torch.arange(8, dtype=torch.uint8).view(_UINT4)[3:]
    result = load_as_stored(stored, "cpu")
    require_plain(result)
    assert result.view(torch.uint8).tolist() == [3, 4, 5, 6, 7]


def test_another_size_is_refused(device: str) -> None:
    with serve_from(DictReader(x=torch.ones(2, 3))), pytest.raises(SizeMismatchError) as caught:
        load_tensor("x", [3, 2], [2, 1], dtype=torch.float32, device=device)
    assert caught.value.name == "x"
    assert caught.value.asked == [3, 2]
    assert caught.value.found == [2, 3]
    for part in ("'x'", "size [3, 2]", "[2, 3]"):
        assert part in str(caught.value)


def test_another_stride_is_refused(device: str) -> None:
    with serve_from(DictReader(x=torch.ones(2, 3))), pytest.raises(StrideMismatchError) as caught:
        load_tensor("x", [2, 3], [1, 2], dtype=torch.float32, device=device)
    assert caught.value.asked == [1, 2]
    assert caught.value.found == [3, 1]
    assert isinstance(caught.value, MismatchError)
    assert isinstance(caught.value, PrimsError)


def test_a_reader_that_ignores_the_device_is_found_out(device: str) -> None:
    class Elsewhere:
        def read_tensor(self, name: str, *, device: torch.device) -> torch.Tensor:
            del name, device
            return torch.ones(3, device="meta")

    with (
        serve_from(Elsewhere()),
        pytest.raises(DeviceMismatchError, match=r"told .* gave a tensor on meta"),
    ):
        load_tensor("x", [3], [1], dtype=torch.float32, device=device)


def test_a_device_without_index_is_the_current_one(device: str) -> None:
    result = load_as_stored(torch.ones(3), torch.device(device).type)
    assert result.device.type == torch.device(device).type


QUANTIZED_IS_DEPRECATED = "ignore:torch.quantize_per_tensor"


def quantized() -> torch.Tensor:
    return torch.quantize_per_tensor(torch.linspace(0, 1, 6), 0.1, 3, torch.quint8)


@pytest.mark.parametrize(
    ("make", "asked"),
    [
        (lambda: torch.zeros(4, dtype=torch.uint8).view(_UINT4), torch.float32),
        (lambda: torch.ones(4), torch.bits8),
        (lambda: torch.ones(4), torch.quint8),
        (quantized, torch.float32),
        (quantized, torch.qint8),
    ],
)
@pytest.mark.filterwarnings(QUANTIZED_IS_DEPRECATED)
def test_what_pytorch_does_not_convert_is_refused(
    make: Callable[[], torch.Tensor], asked: torch.dtype
) -> None:
    stored = make()
    with pytest.raises(ConversionError, match="'x'") as caught:
        load_as_stored(stored, "cpu", asked)
    assert str(asked) in str(caught.value)
    assert str(stored.dtype) in str(caught.value)


@pytest.mark.filterwarnings(QUANTIZED_IS_DEPRECATED)
def test_a_quantized_tensor_is_loaded_as_it_is() -> None:
    stored = quantized().view(2, 3)
    result = load_as_stored(stored, "cpu")
    assert result.q_scale() == stored.q_scale()
    assert torch.equal(result.int_repr(), stored.int_repr())


def test_what_the_reader_raises_reaches_the_caller(device: str) -> None:
    with serve_from(DictReader()), pytest.raises(KeyError, match="nowhere"):
        load_tensor("nowhere", [3], [1], dtype=torch.float32, device=device)


def test_the_meta_device_asks_nobody() -> None:
    reader = DictReader(x=torch.ones(3))
    with serve_from(reader):
        result = load_tensor("x", [2, 2], [1, 5], dtype=torch.float16, device="meta")
    assert reader.names_read == []
    assert result.is_meta
    assert result.stride() == (1, 5)


def test_without_a_reader_the_data_is_the_same_on_every_device(device: str) -> None:
    for dtype in (torch.float32, torch.int64, torch.bool, torch.bfloat16):
        here = load_tensor("x", [6, 7], [1, 6], dtype=dtype, device=device)
        host = load_tensor("x", [6, 7], [1, 6], dtype=dtype, device="cpu")
        assert here.device.type == device
        assert here.stride() == (1, 6)
        assert torch.equal(here.cpu(), host)
        again = load_tensor("x", [6, 7], [1, 6], dtype=dtype, device=device)
        assert here.untyped_storage().data_ptr() != again.untyped_storage().data_ptr()


def test_without_a_reader_a_quantized_dtype_is_refused() -> None:
    with pytest.raises(UnsupportedDtypeError):
        load_tensor("x", [2], [1], dtype=torch.quint8, device="cpu")


def test_a_default_device_of_the_caller_changes_nothing(device: str) -> None:
    expected = load_tensor("y", [3], [1], dtype=torch.float32, device=device)
    with serve_from(DictReader(x=torch.ones(3))), torch.device("meta"):
        result = load_tensor("x", [3], [1], dtype=torch.float64, device="cpu")
    assert result.tolist() == [1, 1, 1]
    with torch.device("meta"):
        again = load_tensor("y", [3], [1], dtype=torch.float32, device=device)
    assert torch.equal(expected, again)
