"""What a small change costs: `tools/bazelw run //tools/bench:delta`.

State dicts saved against an earlier version, in full, and by peers, and loaded again, all in one
run. Exit status 1: it could not run, and standard error says why; 2: the command line makes no
sense; 130: interrupted.
"""

import argparse
from collections.abc import Sequence
from functools import partial

from absl import app

from torchstash.tools.bench.arguments import add_folder, bench_parser, parse_sizes
from torchstash.tools.bench.publish import Picture, run_in_folder_and_publish

_DESCRIPTION = (
    "Measures saving and loading bfloat16 weights of which 1 % have changed: torchstash against a"
    " base and in full, torch.save, and Zstandard with the base as its prefix. Takes about a minute"
    " and fifteen times the size on disk."
)
_LEAST_BYTES = 64 << 10


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line, `argv[0]` the program. Exits with status 2 where it makes no sense."""
    parser = bench_parser("delta", _DESCRIPTION)
    parser.add_argument(
        "--sizes",
        metavar="SIZE,...",
        type=parse_sizes,
        default="64MiB",
        help="of the weights, 64 KiB at least (default: %(default)s)",
    )
    add_folder(parser)
    arguments = parser.parse_args(argv[1:])
    if min(arguments.sizes) < _LEAST_BYTES:
        parser.error("argument --sizes: weights have 64 KiB at least")
    return arguments


def main(arguments: argparse.Namespace) -> int:
    """Runs the benchmark; gives the exit status."""
    # It loads PyTorch; what the command line gets wrong is said before.
    from torchstash.tools.bench.deltas import benchmark, keepers  # noqa: PLC0415

    run = partial(benchmark.run_benchmark, sizes=arguments.sizes)
    picture = Picture(benchmark.SAVE, "Saving a small change", keepers.OURS)
    return run_in_folder_and_publish("delta", arguments, run, picture)


if __name__ == "__main__":
    app.run(main, flags_parser=parse)
