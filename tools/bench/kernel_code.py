"""What the compiler makes of the hashing kernels: `tools/bazelw run //tools/bench:kernel_code`.

Needs no GPU. The Triton kernels are compiled for an NVIDIA architecture, disassembled, and the
instructions of the loop over the blocks of a chunk are counted, by the unit that executes them.
The loop takes all but a few hundredths of the time of a large storage, and its arithmetic is the
limit, so that this predicts a speed:

    bytes per second = 64 bytes of a block * multiprocessors * clock * lanes a clock / instructions

A multiprocessor starts 128 lanes of instructions a clock, and 64 of those that the integer unit
takes (CUDA C++ Programming Guide, "Arithmetic Instructions", compute capability 9.0). The
prediction is what a GPU cannot exceed; how near it comes only a run on one can tell.
"""

import argparse
import os
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import triton
from absl import app
from absl.flags import argparse_flags
from rich.console import Console
from rich.table import Table
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from torchstash.content_store.hashing import triton_kernels
from torchstash.content_store.hashing.geometry import BARRIERS

_ALIGNED = [["tt.divisibility", 16]]
_INTEGER_UNIT = ("LOP3", "SHF", "IADD3", "PRMT", "VIADD", "ISETP", "SEL", "LEA")
_INSTRUCTION = re.compile(r"^\s+/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_]*)")
_LABEL = re.compile(r"^(\.L_x_\d+):")
_BRANCH = re.compile(r"BRA `\((\.L_x_\d+)\)")
_BLOCK_BYTES = 64


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel, and the arguments to compile it for: types by name, or values of constants."""

    name: str
    types: dict[str, str]
    constants: dict[str, int]


KERNELS = (
    Kernel("padded_chunks", {"runs": "*i64", "steps": "i32", "padding": "*i32"}, {}),
    Kernel(
        "chunk_values",
        {"runs": "*i64", "steps": "i32", "lanes": "i32", "padding": "*i32", "rows": "*i32"},
        {"LANES": BARRIERS.lanes},
    ),
    Kernel(
        "parent_values",
        {"trees": "*i64", "steps": "i32", "source": "*i32", "target": "*i32"},
        {"SPAN": BARRIERS.span_rows, "LEVELS": BARRIERS.levels, "LANES": BARRIERS.lanes},
    ),
)


def compiled(kernel: Kernel, architecture: int) -> bytes:
    """The kernel's machine code for an architecture (90: Hopper), a cubin."""
    names = list(kernel.types)
    source = ASTSource(
        fn=getattr(triton_kernels, kernel.name),
        signature=kernel.types | dict.fromkeys(kernel.constants, "constexpr"),
        constexprs=kernel.constants,
        attrs={(names.index(n),): _ALIGNED for n, kind in kernel.types.items() if kind[0] == "*"},
    )
    target = GPUTarget("cuda", architecture, 32)
    code: bytes = triton.compile(source, target=target).asm["cubin"]
    return code


def longest_loop(disassembly: Sequence[str]) -> Counter[str]:
    """How often each instruction stands in the longest loop; of straight code, nothing."""
    labels = {m[1]: i for i, line in enumerate(disassembly) if (m := _LABEL.match(line))}
    loops = [
        disassembly[labels[m[1]] : i + 1]
        for i, line in enumerate(disassembly)
        if (m := _BRANCH.search(line)) and labels.get(m[1], i + 1) <= i
    ]
    longest = max(loops, key=len, default=[])
    return Counter(m[1] for line in longest if (m := _INSTRUCTION.match(line)))


def disassembled(code: bytes) -> list[str]:
    """The lines that NVIDIA's disassembler, which Triton brings, makes of a cubin."""
    program = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "nvdisasm"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(code)
        file.flush()
        answer = subprocess.run(  # noqa: S603 - a program of the locked wheel
            [program, "-c", file.name], check=True, capture_output=True, text=True
        )
    return answer.stdout.splitlines()


def predicted_gb_per_second(
    loop: Counter[str], multiprocessors: int, clock_ghz: float
) -> tuple[float, float]:
    """What the integer unit allows, and what the start of instructions allows, in 10^9 B/s."""
    blocks_per_second = multiprocessors * clock_ghz
    integer = sum(loop[name] for name in _INTEGER_UNIT)
    return (
        _BLOCK_BYTES * 64 * blocks_per_second / integer,
        _BLOCK_BYTES * 128 * blocks_per_second / loop.total(),
    )


def _cpu_seconds() -> float:
    """Of this process and of those that it waited for: the assembler is one."""
    return sum(os.times()[:4])


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line, `argv[0]` the program."""
    parser = argparse_flags.ArgumentParser(  # type: ignore[no-untyped-call]
        prog="kernel_code", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--architecture", type=int, default=90, help="90 is Hopper (default)")
    parser.add_argument(
        "--multiprocessors", type=int, default=132, help="of the GPU (default: 132, H100 SXM)"
    )
    parser.add_argument(
        "--clock-ghz", type=float, default=1.755, help="of the GPU (default: 1.755, H100 SXM)"
    )
    return parser.parse_args(argv[1:])


def main(options: argparse.Namespace) -> int:
    """Prints a row for each kernel, and the prediction; gives the exit status."""
    table = Table("kernel", "compiled in, CPU s", "loop, instructions", "of them", box=None)
    loops = {}
    for kernel in KERNELS:
        started = _cpu_seconds()
        code = compiled(kernel, options.architecture)
        seconds = _cpu_seconds() - started
        loop = loops[kernel.name] = longest_loop(disassembled(code))
        common = ", ".join(f"{count} {name}" for name, count in loop.most_common(5))
        table.add_row(kernel.name, f"{seconds:.2f}", str(loop.total()), common)
    console = Console()
    console.print(f"Triton {triton.__version__}, architecture {options.architecture}")
    console.print(table)
    integer, starts = predicted_gb_per_second(
        loops["chunk_values"], options.multiprocessors, options.clock_ghz
    )
    console.print(
        f"A block of {_BLOCK_BYTES} bytes takes {loops['chunk_values'].total()} instructions: with "
        f"{options.multiprocessors} multiprocessors at {options.clock_ghz} GHz at most "
        f"{min(integer, starts):.0f} GB/s (integer unit {integer:.0f}, all units {starts:.0f})."
    )
    return 0


if __name__ == "__main__":
    app.run(main, flags_parser=parse)
