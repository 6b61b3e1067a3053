"""How fast storages are hashed: `tools/bazelw run //tools/bench:hash`.

Ours on each device, next to the libraries, to PyTorch's own ways and to the memory's speed, all in
one run. Exit status 1: it could not run, and standard error says why; 2: the command line makes no
sense; 130: interrupted.
"""

import argparse
from collections.abc import Sequence
from typing import Any

from absl import app

from torchstash.tools.bench.arguments import bench_parser, parse_names, parse_sizes
from torchstash.tools.bench.outcome import Outcome
from torchstash.tools.bench.publish import Picture, run_and_publish

_DESCRIPTION = (
    "Measures how fast storages are hashed: torchstash on each device, libraries, PyTorch's own"
    " ways, and the speed of the memory as the ceiling. With the default sizes it takes about three"
    " minutes and 2.5 GiB of memory, on each accelerator 1.5 GiB."
)
_SIZES = "64B,4KiB,1MiB,64MiB,1GiB"
_BATCHES = ((64, 1 << 20), (1000, 4 << 10))


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line, `argv[0]` the program. Exits with status 2 where it makes no sense."""
    parser = bench_parser("hash", _DESCRIPTION)
    parser.add_argument(
        "--devices",
        metavar="NAME,...",
        type=parse_names,
        help="cpu, cuda, xpu, mps; one that is absent is an error (default: all that are present)",
    )
    parser.add_argument(
        "--sizes",
        metavar="SIZE,...",
        type=parse_sizes,
        default=_SIZES,
        help="of the storages that are hashed alone (default: %(default)s)",
    )
    return parser.parse_args(argv[1:])


def main(arguments: argparse.Namespace) -> int:
    """Runs the benchmark; gives the exit status."""
    # They load PyTorch; what the command line gets wrong is said before.
    from torchstash.tools.bench.devices import present_devices, require_devices  # noqa: PLC0415
    from torchstash.tools.bench.hashing import benchmark, ours  # noqa: PLC0415

    def run(**common: Any) -> Outcome:  # noqa: ANN401 - what all benchmarks take
        return benchmark.run_benchmark(
            devices=require_devices(arguments.devices or present_devices()),
            sizes=arguments.sizes,
            batches=_BATCHES,
            **common,
        )

    picture = Picture(benchmark.SINGLE, "Hashing one storage", ours.NAME)
    return run_and_publish("hash", arguments, run, picture)


if __name__ == "__main__":
    app.run(main, flags_parser=parse)
