"""What cannot be kept exactly is refused by name, and nothing of it is written."""

import warnings
from collections.abc import Callable

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch._C._distributed_c10d import HashStore
from torch._subclasses import FakeTensorMode
from torch._subclasses.functional_tensor import FunctionalTensor, FunctionalTensorMode
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Replicate, distribute_tensor
from torch.testing._internal.two_tensor import TwoTensor

from torchstash.content_store import ContentStoreError, UnsupportedTensorError
from torchstash.tests.content_store.store_fixtures import Store, store

__all__ = ["store"]  # A fixture that pytest finds here.


class Tagged(torch.Tensor):
    """A subclass by name alone."""


class Cropped(nn.Parameter):
    """A subclass of the one subclass that is kept."""


def fake() -> torch.Tensor:
    with FakeTensorMode():
        return torch.empty(3)


def functional() -> torch.Tensor:
    with FunctionalTensorMode():
        return FunctionalTensor.to_functional(torch.ones(3))


def hooked() -> torch.Tensor:
    x = torch.ones(3, requires_grad=True)
    x.register_hook(lambda grad: grad)
    return x


def accumulating() -> torch.Tensor:
    x = torch.ones(3, requires_grad=True)
    x.register_post_accumulate_grad_hook(lambda _: None)
    return x


def labelled() -> torch.Tensor:
    x = torch.ones(3)
    x.label = "cat"  # type: ignore[attr-defined]
    return x


def strided_nested() -> torch.Tensor:
    with warnings.catch_warnings(action="ignore"):
        return torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])


def compressed(layout: str) -> Callable[[], torch.Tensor]:
    def make() -> torch.Tensor:
        with warnings.catch_warnings(action="ignore"):
            x = torch.eye(4)
            blocks = [(2, 2)] if "b" in layout else []
            sparse: torch.Tensor = getattr(x, f"to_sparse_{layout}")(*blocks)
            return sparse

    return make


REFUSED = {
    "sparse_coo": (lambda: torch.eye(3).to_sparse(), "torch.sparse_coo"),
    "sparse_csr": (compressed("csr"), "torch.sparse_csr"),
    "sparse_csc": (compressed("csc"), "torch.sparse_csc"),
    "sparse_bsr": (compressed("bsr"), "torch.sparse_bsr"),
    "sparse_bsc": (compressed("bsc"), "torch.sparse_bsc"),
    "mkldnn": (lambda: torch.ones(3).to_mkldnn(), "torch._mkldnn"),
    "nested": (strided_nested, "nested"),
    "jagged": (
        lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged),
        "NestedTensor",
    ),
    "meta": (lambda: torch.empty(3, device="meta"), "meta device"),
    "fake": (fake, "FakeTensor"),
    "functional": (functional, "FunctionalTensor"),
    "functional_inside": (lambda: torch._to_functional_tensor(torch.ones(3)), "functional"),
    "zero": (lambda: torch._efficientzerotensor(3), "implicit zero"),
    "subclass": (lambda: torch.ones(3).as_subclass(Tagged), "Tagged"),
    "parameter_subclass": (lambda: Cropped(torch.ones(3)), "Cropped"),
    "parameter_of_a_subclass": (lambda: nn.Parameter(torch.ones(3).as_subclass(Tagged)), "Tagged"),
    "uninitialized": (nn.UninitializedParameter, "UninitializedParameter"),
    "wrapper": (lambda: TwoTensor(torch.ones(3), torch.ones(3)), "TwoTensor"),
    "hooks": (hooked, "1 hooks"),
    "accumulate_hooks": (accumulating, "1 hooks"),
    "attributes": (labelled, "label"),
    "array": (lambda: torch.ones(3).numpy(), "numpy.ndarray"),
    "none": (lambda: None, "NoneType"),
}


@pytest.mark.parametrize(("make", "named"), REFUSED.values(), ids=REFUSED)
def test_refused_by_name(store: Store, make: Callable[[], torch.Tensor], named: str) -> None:
    tensor = make()
    with pytest.raises(UnsupportedTensorError, match=named) as caught:
        store.writer.write_tensor("x", tensor)
    assert isinstance(caught.value, ContentStoreError)
    assert isinstance(caught.value, TypeError)
    with pytest.raises(UnsupportedTensorError, match=named):
        store.writer.compute_tensor_metadata(tensor)
    assert list(store.reader.names()) == []


def test_refused_inside_transforms(store: Store) -> None:
    def write(x: torch.Tensor) -> torch.Tensor:
        store.writer.write_tensor("x", x)
        return x.sum()

    for transform in (torch.func.grad, torch.func.vmap):
        with pytest.raises(UnsupportedTensorError, match=r"torch\.func"):
            transform(write)(torch.ones(3, 2))


def test_hints_of_the_compiler_are_not_the_users(store: Store) -> None:
    x = torch.ones(3)
    torch._dynamo.mark_dynamic(x, 0)
    assert vars(x)
    assert torch.equal(store.round_trip(x), x)


def test_what_the_messages_advise_works(store: Store) -> None:
    for tensor in (hooked(), accumulating(), labelled()):
        assert torch.equal(store.round_trip(tensor.detach()), tensor)
    plain = torch.ones(3).as_subclass(Tagged).as_subclass(torch.Tensor)
    assert torch.equal(store.round_trip(plain), torch.ones(3))


def test_a_distributed_tensor(store: Store) -> None:
    dist.init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
    try:
        mesh = init_device_mesh("cpu", (1,))
        tensor = distribute_tensor(torch.ones(3), mesh, [Replicate()])
        with pytest.raises(UnsupportedTensorError, match="DTensor"):
            store.writer.write_tensor("x", tensor)
    finally:
        dist.destroy_process_group()
