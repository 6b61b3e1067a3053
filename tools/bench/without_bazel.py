"""Runs a benchmark of this checkout beside an installed torchstash wheel.

    python tools/bench/without_bazel.py hash --devices=cuda

For machines that have an accelerator and no Bazel: the wheel brings torchstash and its generated
code, the checkout brings the benchmarks.
"""

import runpy
import sys
from pathlib import Path

import torchstash

_BENCHMARKS = ("cache", "checkpoint", "hash")


def main() -> None:
    """Hands the command line to the benchmark that its first word names."""
    if len(sys.argv) < 2 or sys.argv[1] not in _BENCHMARKS:
        sys.exit(f"usage: {sys.argv[0]} {{{','.join(_BENCHMARKS)}}} [--help]")
    folder = Path(__file__).absolute().parent
    # Python put the folder of this program first; its modules have common names.
    sys.path[:] = [entry for entry in sys.path if Path(entry).absolute() != folder]
    # `torchstash.tools` lies in the wheel and in the checkout.
    torchstash.__path__.append(str(folder.parent.parent))
    sys.argv = sys.argv[1:]
    runpy.run_module(f"torchstash.tools.bench.{sys.argv[0]}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
