"""The packages of the CUDA lock fit together. Needs no GPU, only the several GB that they weigh."""

from pathlib import Path

import pytest
import torch
import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget


# Triton takes annotations for types of its own. mypy reads the CPU lock, which has no Triton.
@triton.jit  # type: ignore[untyped-decorator]
def _double(source, target, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, N803
    at = tl.arange(0, BLOCK)
    tl.store(target + at, tl.load(source + at) * 2)


def test_torch_is_the_build_for_cuda_and_computes_on_the_cpu() -> None:
    assert torch.version.cuda is not None
    assert torch.ones(3, 3).matmul(torch.ones(3)).tolist() == [3, 3, 3]


def test_torchs_libraries_of_other_wheels_are_loaded() -> None:
    loaded = Path("/proc/self/maps").read_text()
    for library in (
        "libcublas.so",
        "libcudart.so",
        "libcudnn.so",
        "libcusolver.so",
        "libcusparse.so",
        "libnccl.so",
    ):
        assert library in loaded


def test_triton_compiles_for_a_gpu_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    source = triton.compiler.ASTSource(
        fn=_double,
        signature={"source": "*fp32", "target": "*fp32", "BLOCK": "constexpr"},
        constexprs={(2,): 128},
    )
    compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32))
    assert compiled.asm["cubin"].startswith(b"\x7fELF")
