"""A program whose compiler computes a wrong number, for PyTorch to write a repro of.

It needs no C++ compiler: the repro's own compilations fail because Inductor has no such backend
for the CPU, which the script sets as this program did.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch._inductor.config
from torch._dynamo.backends.common import aot_autograd
from torch._dynamo.debug_utils import AccuracyError
from torch._dynamo.repro.after_aot import wrap_compiler_debug

from torchstash.prims.torch_repro import install


def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    """The second one is a view, so that its storage holds more than it shows."""
    generator = torch.Generator().manual_seed(5)
    return (
        torch.randn(6, 5, generator=generator),
        torch.randn(400, 4, generator=generator)[7:12],
    )


def function(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.relu(torch.sin(x) @ y) + 1


def wrong(graph: torch.fx.GraphModule, _: object, **__: object) -> Callable[[list[Any]], Any]:
    def run(arguments: list[Any]) -> Any:
        return [result + 1 for result in graph(*arguments)]

    run._boxed_call = True  # type: ignore[attr-defined]
    return run


def main() -> None:
    torch._inductor.config.cpu_backend = "none"  # type: ignore[assignment]
    compiler: Any = wrong
    backend = aot_autograd(fw_compiler=wrap_compiler_debug(compiler, compiler_name="inductor"))
    with install(), torch.no_grad():
        try:
            torch.compile(function, backend=backend)(*inputs())
        except AccuracyError:
            return
    raise AssertionError("nothing was found wrong")


if __name__ == "__main__":
    main()
