import random

import pytest
import torch

from torchstash.prims import UnsupportedDtypeError
from torchstash.prims.stand_in import QUANTIZED_DTYPES, stand_in_tensor
from torchstash.tests.prims.python_process import run_python

DTYPES = sorted({v for v in vars(torch).values() if isinstance(v, torch.dtype)}, key=str)
PLAIN_DTYPES = [dtype for dtype in DTYPES if dtype not in QUANTIZED_DTYPES]
CPU = torch.device("cpu")
COUNT = 4096


def stand_in(dtype: torch.dtype, name: str = "x", count: int = COUNT) -> torch.Tensor:
    return stand_in_tensor(name, [count], [1], dtype=dtype, device=CPU)


def bits(tensor: torch.Tensor) -> bytes:
    span = torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage().cpu())
    return span.numpy().tobytes()


@pytest.mark.parametrize("dtype", PLAIN_DTYPES, ids=str)
def test_every_dtype_is_filled_the_same_way_each_time(dtype: torch.dtype) -> None:
    first, again, other = stand_in(dtype), stand_in(dtype), stand_in(dtype, name="y")
    assert first.dtype == dtype
    assert bits(first) == bits(again)
    assert bits(first) != bits(other)
    assert first.data_ptr() != again.data_ptr()
    assert first.untyped_storage().nbytes() >= COUNT * dtype.itemsize


@pytest.mark.parametrize("dtype", sorted(QUANTIZED_DTYPES, key=str), ids=str)
def test_a_quantized_dtype_is_refused_by_name(dtype: torch.dtype) -> None:
    with pytest.raises(UnsupportedDtypeError, match=f"'x'.*{dtype}.*load_tensor_reader"):
        stand_in(dtype)


FLOATS = [
    dtype
    for dtype in PLAIN_DTYPES
    if dtype.is_floating_point and dtype not in (torch.float4_e2m1fn_x2, torch.float8_e8m0fnu)
]


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_floating_point_lies_between_minus_one_and_one_and_spreads(dtype: torch.dtype) -> None:
    values = stand_in(dtype).double()
    assert values.isfinite().all()
    assert values.abs().max() <= 1
    assert values.mean().abs() < 0.05
    assert abs(values.std() - 3**-0.5) < 0.05


@pytest.mark.parametrize("dtype", [torch.complex32, torch.complex64, torch.complex128], ids=str)
@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
def test_both_parts_of_a_complex_number_are_drawn(dtype: torch.dtype) -> None:
    values = torch.view_as_real(stand_in(dtype)).double()
    assert abs(values[..., 0].std() - 3**-0.5) < 0.05
    assert abs(values[..., 1].std() - 3**-0.5) < 0.05
    assert not torch.equal(values[..., 0], values[..., 1])


def test_powers_of_two_are_a_half_and_one() -> None:
    assert stand_in(torch.float8_e8m0fnu).float().unique().tolist() == [0.5, 1.0]


INTEGERS = [torch.bool] + [dtype for dtype in PLAIN_DTYPES if "int" in str(dtype)]


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_integers_are_zero_and_one_in_even_shares(dtype: torch.dtype) -> None:
    raw = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[dtype.itemsize]
    values = stand_in(dtype).view(raw)
    assert values.unique().tolist() == [0, 1]
    assert 0.45 < values.double().mean() < 0.55


@pytest.mark.parametrize(
    ("size", "stride"),
    [
        ([], []),
        ([0], [1]),
        ([3, 0, 2], [7, 5, 3]),
        ([2, 3], [3, 1]),
        ([2, 3], [1, 2]),
        ([4, 3], [0, 1]),
        ([3, 3], [1, 1]),
        ([2, 2], [100, 7]),
        ([1, 1], [9, 9]),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.uint16, torch.complex64, torch.bool])
def test_the_geometry_is_the_asked_one(
    size: list[int], stride: list[int], dtype: torch.dtype
) -> None:
    tensor = stand_in_tensor("x", size, stride, dtype=dtype, device=CPU)
    assert list(tensor.size()) == size
    assert list(tensor.stride()) == stride
    assert tensor.storage_offset() == 0


def test_name_size_stride_and_dtype_each_change_the_data() -> None:
    base = stand_in_tensor("x", [8, 8], [8, 1], dtype=torch.float32, device=CPU)
    for name, size, stride in (
        ("y", [8, 8], [8, 1]),
        ("x", [64], [1]),
        ("x", [8, 8], [1, 8]),
    ):
        other = stand_in_tensor(name, size, stride, dtype=torch.float32, device=CPU)
        assert bits(other) != bits(base)
    double = stand_in_tensor("x", [8, 8], [8, 1], dtype=torch.float64, device=CPU)
    assert not torch.equal(double.float(), base)


@pytest.mark.parametrize("name", ["", "naïve/☃", "a" * 5000, '"], [1], [1]'])
def test_any_name_will_do(name: str) -> None:
    assert stand_in_tensor(name, [4], [1], dtype=torch.float32, device=CPU).numel() == 4


def test_the_global_generators_are_not_touched() -> None:
    torch.manual_seed(7)
    random.seed(7)
    state, python_state = torch.get_rng_state(), random.getstate()
    for dtype in PLAIN_DTYPES:
        stand_in(dtype)
    assert torch.equal(torch.get_rng_state(), state)
    assert random.getstate() == python_state


def test_the_data_is_what_it_was_when_this_was_written() -> None:
    """Traced graphs outlive processes: another stream would be another program."""
    tensor = stand_in_tensor("x", [3], [1], dtype=torch.float32, device=CPU)
    assert tensor.view(torch.int32).tolist() == [-1097474188, 1063987552, 1062707224]
    words = stand_in_tensor("x", [3], [1], dtype=torch.bits16, device=CPU)
    assert words.view(torch.int16).tolist() == [12275, 32638, 5669]


def test_another_process_draws_the_same() -> None:
    program = (
        "import torch\n"
        "from torchstash.prims import load_tensor\n"
        "torch.manual_seed(99)\n"
        "t = load_tensor('x', [5, 4], [4, 1], dtype=torch.float32, device='cpu')\n"
        "print(t.view(torch.int32).tolist())\n"
    )
    done = run_python("-c", program)
    here = stand_in_tensor("x", [5, 4], [4, 1], dtype=torch.float32, device=CPU)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(here.view(torch.int32).tolist())
