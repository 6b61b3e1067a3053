"""What caching costs: `tools/bazelw run //tools/bench:cache`.

The layer's own share of a get, the disk engine next to other local stores, and clients of Redis,
all in one run. Exit status 1: it could not run, and standard error says why; 2: the command line
makes no sense; 130: interrupted.
"""

import argparse
from collections.abc import Sequence
from functools import partial

from absl import app

from torchstash.tools.bench.arguments import add_folder, bench_parser, parse_sizes
from torchstash.tools.bench.publish import Picture, run_in_folder_and_publish

_DESCRIPTION = (
    "Measures what a RemoteCache costs beside its backend, gets and puts of local stores"
    " (torchstash's, diskcache, SQLite, PyTorch's files), and clients of a Redis server that it"
    " starts on loopback. Takes about half a minute and 300 MiB of disk."
)
_LEAST_BYTES = 8


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line, `argv[0]` the program. Exits with status 2 where it makes no sense."""
    parser = bench_parser("cache", _DESCRIPTION)
    parser.add_argument(
        "--sizes",
        metavar="SIZE,...",
        type=parse_sizes,
        default="1KiB,64KiB",
        help="of the values on disk, 8 B at least (default: %(default)s)",
    )
    add_folder(parser)
    arguments = parser.parse_args(argv[1:])
    if min(arguments.sizes) < _LEAST_BYTES:
        parser.error(f"argument --sizes: a value has {_LEAST_BYTES} B at least")
    return arguments


def main(arguments: argparse.Namespace) -> int:
    """Runs the benchmark; gives the exit status."""
    # It loads PyTorch; what the command line gets wrong is said before.
    from torchstash.tools.bench.caching import benchmark, stores  # noqa: PLC0415

    run = partial(benchmark.run_benchmark, sizes=arguments.sizes)
    picture = Picture(benchmark.GET, "Getting one value from disk", stores.OURS)
    return run_in_folder_and_publish("cache", arguments, run, picture)


if __name__ == "__main__":
    app.run(main, flags_parser=parse)
