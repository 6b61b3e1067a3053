"""The operator in graphs: faked, traced, compiled, exported."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.experimental.symbolic_shapes import ShapeEnv, has_free_symbols
from typing_extensions import override

from torchstash.prims import GeometryError, load_tensor
from torchstash.prims.current_reader import serve_from
from torchstash.tests.prims.dict_reader import DictReader

# PyTorch's compilers use deprecated parts of PyTorch and of Python.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

CALL = torch.ops.debugprims.load_tensor.default


def _inductor_works(device: str) -> bool:
    """Inductor compiles C++ for the CPU: with a compiler and PyTorch's headers."""
    if device != "cpu":
        return True
    compilers = [os.environ.get("CXX", "g++"), "clang++"]
    headers = Path(torch.__file__).parent / "include" / "ATen"
    return headers.is_dir() and any(shutil.which(name) for name in compilers)


@pytest.fixture(params=["eager", "aot_eager", "inductor"])
def backend(request: pytest.FixtureRequest, device: str) -> str:
    if request.param == "inductor" and not _inductor_works(device):
        pytest.skip("Inductor has no C++ compiler, or no headers of PyTorch's, here")
    return str(request.param)


@pytest.fixture(autouse=True)
def _fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.fixture(params=[False, True], ids=["made up", "stored"])
def reader(request: pytest.FixtureRequest) -> Iterator[None]:
    if not request.param:
        yield
        return
    stored = torch.arange(12.0)
    with serve_from(DictReader(w=stored[2:8].view(2, 3), b=stored[1:4])):
        yield


def load_w(device: str) -> torch.Tensor:
    return load_tensor("w", [2, 3], [3, 1], dtype=torch.float32, device=device)


@pytest.mark.parametrize("kind", ["cpu", "cuda", "mps", "xpu"])
def test_fake_tensors_have_the_asked_geometry_on_any_device(kind: str) -> None:
    reader = DictReader()
    with serve_from(reader), FakeTensorMode():
        fake = CALL("x", (4, 2), (1, 5), dtype=torch.float16, device=torch.device(kind))
    assert isinstance(fake, FakeTensor)
    assert fake.shape == (4, 2)
    assert fake.stride() == (1, 5)
    assert fake.dtype == torch.float16
    assert fake.device.type == kind
    assert reader.names_read == []


def test_the_fake_kernel_refuses_what_the_real_one_refuses() -> None:
    with FakeTensorMode(), pytest.raises(GeometryError, match="a negative size"):
        CALL("x", (-4,), (1,), dtype=torch.float32, device=torch.device("cpu"))


def test_pytorch_knows_the_fake_kernel() -> None:
    """Without one `FakeTensorMode` guesses, and draft export reports the operator."""
    assert torch._library.utils.has_fake_kernel(CALL)


def test_symbolic_sizes_are_specialised() -> None:
    mode = FakeTensorMode(shape_env=ShapeEnv())
    like = mode.from_tensor(torch.ones(3, 4), static_shapes=False)
    assert has_free_symbols(like)
    with mode:
        fake = CALL("x", like.shape, like.stride(), dtype=torch.float32, device="cpu")
    assert fake.shape == (3, 4)
    assert not has_free_symbols(fake)


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
def test_opcheck(dtype: torch.dtype, device: str) -> None:
    if device == "mps" and dtype == torch.float64:
        dtype = torch.float16
    arguments = ("w", [2, 3], [3, 1])
    keywords = {"dtype": dtype, "device": torch.device(device)}
    results = torch.library.opcheck(CALL, arguments, keywords)
    assert set(results.values()) == {"SUCCESS"}
    assert len(results) == 4


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("tracing_mode", ["real", "fake", "symbolic"])
def test_a_traced_graph_names_its_inputs(tracing_mode: Any, device: str) -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return x @ load_tensor("w", [2, 3], [3, 1], dtype=x.dtype, device=x.device)

    x = torch.ones(5, 2, device=device)
    graph = make_fx(program, tracing_mode=tracing_mode)(x)
    calls = [node for node in graph.graph.nodes if node.target is CALL]
    assert [node.args for node in calls] == [("w", [2, 3], [3, 1])]
    assert torch.equal(graph(x), program(x))


def test_a_graph_is_traced_without_the_store_and_run_with_it(device: str) -> None:
    graph = make_fx(lambda: load_w(device) * 2, tracing_mode="fake")()
    with serve_from(DictReader(w=torch.full((2, 3), 4.0))):
        assert torch.equal(graph().cpu(), torch.full((2, 3), 8.0))


@pytest.mark.usefixtures("reader")
def test_compiled_as_a_whole(backend: str, device: str) -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        bias = load_tensor("b", [3], [1], dtype=torch.float64, device="cpu")
        return (x @ load_w(device) + bias.to(x)).relu()

    x = torch.linspace(-1, 1, 10, device=device).view(5, 2)
    compiled = torch.compile(program, backend=backend, fullgraph=True)
    torch.testing.assert_close(compiled(x), program(x))


@pytest.mark.usefixtures("reader")
def test_a_compiled_function_reads_the_reader_of_the_call(backend: str, device: str) -> None:
    compiled = torch.compile(lambda: load_w(device) + 1, backend=backend, fullgraph=True)
    compiled()
    for value in (1.0, 2.0):
        with serve_from(DictReader(w=torch.full((2, 3), value))):
            assert torch.equal(compiled().cpu(), torch.full((2, 3), value + 1))


@pytest.mark.usefixtures("reader")
def test_equal_calls_share_no_memory(backend: str, device: str) -> None:
    compiled = torch.compile(
        lambda: (load_w(device), load_w(device)), backend=backend, fullgraph=True
    )
    first, second = compiled()
    assert first.untyped_storage().data_ptr() != second.untyped_storage().data_ptr()
    assert torch.equal(first, second)
    again, _ = compiled()
    assert again.untyped_storage().data_ptr() != first.untyped_storage().data_ptr()


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("training", [False, True])
def test_writing_to_one_result_leaves_its_twin_alone(
    backend: str, training: bool, device: str
) -> None:
    def program(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        first, second = load_w(device), load_w(device)
        first.mul_(3)
        return (x * first * second).sum(), first, second

    x = torch.ones(2, 3, device=device, requires_grad=training)
    total, first, second = torch.compile(program, backend=backend, fullgraph=True)(x)
    assert torch.equal(second, load_w(device))
    assert torch.equal(first, 3 * second)
    if training:
        total.backward()
        torch.testing.assert_close(x.grad, first * second)


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("strict", [False, True])
def test_exported(strict: bool, device: str) -> None:
    class Program(torch.nn.Module):
        @override
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return x @ load_w(device), load_w(device), load_w(device)

    x = torch.ones(5, 2, device=device)
    expected = Program()(x)
    exported = torch.export.export(Program(), (x,), strict=strict)
    for program in (exported, exported.run_decompositions()):
        targets = [node.target for node in program.graph.nodes]
        assert targets.count(CALL) == 3
        results = program.module()(x)
        for result, wanted in zip(results, expected, strict=True):
            assert torch.equal(result, wanted)
        assert results[1].untyped_storage().data_ptr() != results[2].untyped_storage().data_ptr()


@pytest.mark.usefixtures("reader")
def test_function_transforms_see_a_constant(device: str) -> None:
    x = torch.ones(4, 2, 3, device=device)
    mapped = torch.vmap(lambda row: row * load_w(device))(x)
    assert torch.equal(mapped[3], load_w(device))
    gradient = torch.func.grad(lambda row: (row * load_w(device)).sum())(x[0])
    assert torch.equal(gradient, load_w(device))
    with torch.inference_mode():
        assert torch.equal(load_w(device), mapped[0])
