"""What code written against PyTorch's modules may rely on, whichever modules it imports.

Run as `interface_program.py IMPLEMENTATION DEVICE`, in a process of its own: with "torch"
nothing of ours is imported, with "torch beside torchstash" ours is registered first.
"""

import contextlib
import importlib
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

MODULES = {
    "torch": ("torch.utils._content_store", "torch._prims.debug_prims"),
    "torchstash": ("torchstash.content_store", "torchstash.prims"),
}


def write(content_store: Any, location: str, **tensors: torch.Tensor) -> None:
    # Without it PyTorch's writer needs a C++ compiler; ours takes it and needs none.
    writer = content_store.ContentStoreWriter(location, stable_hash=True)
    for name, tensor in tensors.items():
        writer.write_tensor(name, tensor)


def load(name: str, like: torch.Tensor, **changes: Any) -> torch.Tensor:
    arguments = {"size": like.size(), "stride": like.stride(), "dtype": like.dtype} | changes
    arguments = {"device": like.device} | arguments
    size, stride = arguments.pop("size"), arguments.pop("stride")
    result = torch.ops.debugprims.load_tensor.default(name, size, stride, **arguments)
    assert isinstance(result, torch.Tensor)
    return result


def check_values_and_geometry(content_store: Any, prims: Any, location: str, device: str) -> None:
    x = torch.randn(4, 6, device=device)
    tensors = {"x": x, "t": x.t(), "v": x[1:, ::2], "i": torch.arange(5, device=device)}
    write(content_store, location, **tensors)
    with prims.load_tensor_reader(location):
        for name, expected in tensors.items():
            result = load(name, expected)
            assert torch.equal(result, expected)
            assert result.stride() == expected.stride()
            assert result.dtype == expected.dtype
            assert result.device == expected.device


def check_results_never_alias(content_store: Any, prims: Any, location: str, device: str) -> None:
    x = torch.randn(4, device=device)
    write(content_store, location, x=x, y=x)
    with prims.load_tensor_reader(location):
        pointers = {load(n, x).untyped_storage().data_ptr() for n in ("x", "y")}
        kept = [load("x", x), load("x", x), load("y", x)]
        assert len(pointers | {t.untyped_storage().data_ptr() for t in kept}) >= 3
        kept[0].zero_()
        assert torch.equal(kept[1], x)


def check_conversion(content_store: Any, prims: Any, location: str, device: str) -> None:
    x = torch.randn(4, 3, device=device).t()
    write(content_store, location, x=x)
    dtype = torch.float16 if device == "mps" else torch.float64
    with prims.load_tensor_reader(location):
        result = load("x", x, dtype=dtype)
    assert result.dtype == dtype
    assert result.stride() == x.stride()
    assert torch.equal(result, x.to(dtype))


def check_fake_mode(content_store: Any, prims: Any, location: str, device: str) -> None:
    x = torch.randn(4, device=device)
    write(content_store, location, x=x)
    with FakeTensorMode():
        fake = load("x", x)
    assert isinstance(fake, FakeTensor)
    assert (fake.size(), fake.stride()) == (x.size(), x.stride())
    assert (fake.dtype, fake.device) == (x.dtype, x.device)


def check_mismatches_raise(content_store: Any, prims: Any, location: str, device: str) -> None:
    x = torch.randn(4, 2, device=device)
    write(content_store, location, x=x)
    with prims.load_tensor_reader(location):
        for changes in ({"size": [2, 4]}, {"stride": [1, 4]}):
            try:
                load("x", x, **changes)
            except Exception:
                continue
            raise AssertionError(changes)
        try:
            load("unknown", x)
        except FileNotFoundError:
            return
        raise AssertionError("unknown")


def check_the_block_ends(content_store: Any, prims: Any, location: str, device: str) -> None:
    x = torch.full((4,), 5.0, device=device)
    write(content_store, location, x=x)
    for _ in range(2):
        with contextlib.suppress(ZeroDivisionError), prims.load_tensor_reader(location):
            assert torch.equal(load("x", x), x)
            _ = 1 / 0
    outside = load("x", x)
    assert not torch.equal(outside, x)
    assert (outside.size(), outside.stride()) == (x.size(), x.stride())
    assert (outside.dtype, outside.device) == (x.dtype, x.device)


def check_traced_graphs(content_store: Any, prims: Any, location: str, device: str) -> None:
    x = torch.randn(4, device=device)
    write(content_store, location, x=x)
    graph = make_fx(lambda y: y + load("x", x))(x)
    assert "torch.ops.debugprims.load_tensor.default('x', [4], [1]" in graph.code
    with prims.load_tensor_reader(location):
        assert torch.equal(graph(x), x + x)


def main() -> None:
    implementation, device = sys.argv[1:]
    if implementation == "torch beside torchstash":
        importlib.import_module("torchstash.prims")
        implementation = "torch"
    content_store, prims = map(importlib.import_module, MODULES[implementation])
    with tempfile.TemporaryDirectory() as folder:
        for name, check in list(globals().items()):
            if name.startswith("check_"):
                check(content_store, prims, str(Path(folder) / name), device)
                sys.stdout.write(f"{name}\n")


if __name__ == "__main__":
    main()
