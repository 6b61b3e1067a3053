"""What checkpoints cost: `tools/bazelw run //tools/bench:checkpoint`.

`torch.distributed.checkpoint` over our store and over PyTorch's files, all in one run. Exit
status 1: it could not run, and standard error says why; 2: the command line makes no sense; 130:
interrupted.
"""

import argparse
from collections.abc import Sequence
from functools import partial

from absl import app

from torchstash.tools.bench.arguments import add_folder, bench_parser, parse_sizes
from torchstash.tools.bench.publish import Picture, run_in_folder_and_publish

_DESCRIPTION = (
    "Measures checkpoints of one process through torch.distributed.checkpoint, in a torchstash"
    " store and in PyTorch's files: saved, saved again unchanged and with a tenth changed, and"
    " loaded. Takes about a minute, and six times the size on disk and in memory."
)
_LEAST_BYTES = 1 << 10


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line, `argv[0]` the program. Exits with status 2 where it makes no sense."""
    parser = bench_parser("checkpoint", _DESCRIPTION)
    parser.add_argument(
        "--sizes",
        metavar="SIZE,...",
        type=parse_sizes,
        default="256MiB",
        help="of the state dicts, 1 KiB at least (default: %(default)s)",
    )
    add_folder(parser)
    arguments = parser.parse_args(argv[1:])
    if min(arguments.sizes) < _LEAST_BYTES:
        parser.error(f"argument --sizes: a state dict has {_LEAST_BYTES} B at least")
    return arguments


def main(arguments: argparse.Namespace) -> int:
    """Runs the benchmark; gives the exit status."""
    # It loads PyTorch; what the command line gets wrong is said before.
    from torchstash.tools.bench.checkpointing import benchmark, formats  # noqa: PLC0415

    run = partial(benchmark.run_benchmark, sizes=arguments.sizes)
    picture = Picture(benchmark.SAVE, "Saving a checkpoint", formats.OURS)
    return run_in_folder_and_publish("checkpoint", arguments, run, picture)


if __name__ == "__main__":
    app.run(main, flags_parser=parse)
