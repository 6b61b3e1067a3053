"""What was written comes back bit for bit, with its view and all that hangs on it."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch._subclasses import FakeTensorMode

from torchstash.tests.content_store.storages import all_dtypes
from torchstash.tests.content_store.store_fixtures import Store, store
from torchstash.tests.content_store.tensor_equality import assert_same

__all__ = ["store"]  # A fixture that pytest finds here.

VIEWS = {
    "whole": lambda x: x,
    "offset": lambda x: x[2:],
    "transposed": lambda x: x.t(),
    "strided": lambda x: x[::2, 1::3],
    "expanded": lambda x: x[0].expand(5, -1),
    "overlapping": lambda x: x.as_strided((4, 4), (1, 1), 3),
    "channels_last": lambda x: x.view(1, 4, 2, 3).to(memory_format=torch.channels_last),
    "scalar": lambda x: x[1, 2],
    "empty": lambda x: x[4:],
    "empty_of_three_dimensions": lambda x: x.new_empty(3, 0, 2),
    "empty_far_behind_its_storage": lambda x: x.as_strided((0, 3), (7, 1), 1000),
    "diagonal": lambda x: x.diagonal(),
    "unfolded": lambda x: x.unfold(1, 3, 1),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.bfloat16, torch.complex64, torch.bool], ids=str
)
def test_views(
    store: Store, device: str, view: Callable[[torch.Tensor], torch.Tensor], dtype: torch.dtype
) -> None:
    base = torch.arange(24, device=device).view(4, 6).to(dtype)
    assert_same(store.round_trip(view(base)), view(base))


def test_special_values_keep_their_bits(store: Store, device: str) -> None:
    bits = [0x7FC00001, 0x7F800001, -0x400000, 0, -0x80000000, 1, 0x7F800000]
    x = torch.tensor(bits, dtype=torch.int32, device=device).view(torch.float32)
    assert_same(store.round_trip(x), x)


@pytest.mark.parametrize(
    "dtype", [d for d in all_dtypes() if not str(d).startswith(("torch.q",))], ids=str
)
def test_every_dtype(store: Store, dtype: torch.dtype) -> None:
    """Every bit pattern of a byte at least once, whatever it means. Quantized: a test below."""
    octets = torch.arange(256, dtype=torch.int16).to(torch.uint8)
    x = octets.view(dtype)
    assert_same(store.round_trip(x), x)
    assert_same(store.round_trip(x[3:]), x[3:])


@pytest.mark.parametrize(
    "dtype",
    [d for d in all_dtypes() if d.itemsize == 1 and d is not torch.bool and "q" not in str(d)],
    ids=str,
)
def test_dtypes_do_not_mix(store: Store, dtype: torch.dtype) -> None:
    """Equal bytes are one storage; what they mean is the tensor's own."""
    octets = torch.arange(100, dtype=torch.uint8)
    store.writer.write_tensor("octets", octets)
    store.writer.write_tensor("other", octets.view(dtype))
    assert store.reader.read_tensor("octets").dtype == torch.uint8
    assert store.reader.read_tensor("other").dtype == dtype


def test_conj_and_neg_bits(store: Store, device: str) -> None:
    z = torch.complex(torch.arange(4.0), torch.arange(4.0) + 7).to(device)
    for i, x in enumerate((z.conj(), z.conj().imag, torch._neg_view(z.conj()), z.conj()[1:])):
        read = store.round_trip(x, str(i))
        assert_same(read, x)
        assert torch.equal(read.resolve_conj().resolve_neg(), x.resolve_conj().resolve_neg())
    assert torch.equal(store.reader.read_tensor("0"), z.conj())


def test_requires_grad(store: Store, device: str) -> None:
    x = torch.ones(3, device=device, requires_grad=True)
    read = store.round_trip(x)
    assert_same(read, x)
    read.sum().backward()
    assert torch.equal(read.grad, x.detach())  # type: ignore[arg-type]


def test_what_was_computed_from_others_comes_back_as_a_leaf(store: Store, device: str) -> None:
    x = torch.ones(3, device=device, requires_grad=True)
    y = x * 2
    read = store.round_trip(y)
    assert read.requires_grad
    assert read.is_leaf
    assert torch.equal(read, y)


@pytest.mark.parametrize("requires_grad", [False, True])
def test_parameters(store: Store, device: str, requires_grad: bool) -> None:
    x = nn.Parameter(torch.ones(3, 2, device=device).t(), requires_grad=requires_grad)
    read = store.round_trip(x)
    assert type(read) is nn.Parameter
    assert_same(read, x)


def test_integer_and_conj_parameters(store: Store) -> None:
    z = torch.tensor([1 + 2j, 3 - 4j])
    for x in (
        nn.Parameter(torch.arange(3), requires_grad=False),
        nn.Parameter(z.conj()),
    ):
        assert_same(store.round_trip(x), x)


def test_buffers_come_back_as_the_tensors_they_are(store: Store, device: str) -> None:
    x = nn.Buffer(torch.ones(3, device=device))
    assert torch.equal(store.round_trip(x), torch.ones(3, device=device))


def test_under_modes_of_the_reader(store: Store) -> None:
    """What surrounds a read does not change what is read."""
    x = torch.arange(20000, dtype=torch.float32)
    z = torch.ones(3, dtype=torch.complex64).conj()
    store.writer.write_tensor("x", x)
    store.writer.write_tensor("z", z)
    store.writer.write_tensor("g", torch.ones(3, requires_grad=True))
    reader = store.fresh_reader(cache=False)
    for mode in (FakeTensorMode(), torch.no_grad(), torch.device("meta"), torch.inference_mode()):
        with mode:
            read = [reader.read_tensor(name) for name in ("x", "z", "g")]
        assert [type(t) for t in read] == [torch.Tensor] * 3
        assert torch.equal(read[0], x)
        assert torch.equal(read[1], z)
        assert read[2].requires_grad


def test_inference_tensors(store: Store, device: str) -> None:
    with torch.inference_mode():
        x = torch.ones(3, device=device)
    read = store.round_trip(x)
    assert torch.equal(read, x)
    assert not read.is_inference()
    read.add_(1)


def test_read_on_another_device(store: Store, device: str) -> None:
    x = torch.arange(30000, dtype=torch.float32, device=device)[5:]
    store.writer.write_tensor("x", x)
    on_cpu = store.reader.read_tensor("x", device="cpu")
    assert on_cpu.device.type == "cpu"
    assert_same(on_cpu, x.cpu() if device == "cpu" else on_cpu)
    assert torch.equal(on_cpu, x.cpu())
    store.writer.write_tensor("from_cpu", x.cpu())
    there = store.reader.read_tensor("from_cpu", device=device)
    assert there.device == x.device
    assert torch.equal(there, x)
