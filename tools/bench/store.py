"""What keeping tensors costs: `tools/bazelw run //tools/bench:store`.

Small tensors, large ones and state dicts, ours next to PyTorch's ways and to libraries, all in one
run. Exit status 1: it could not run, and standard error says why; 2: the command line makes no
sense; 130: interrupted.
"""

import argparse
from collections.abc import Sequence
from functools import partial

from absl import app

from torchstash.tools.bench.arguments import add_folder, bench_parser
from torchstash.tools.bench.publish import Picture, run_in_folder_and_publish

_DESCRIPTION = (
    "Measures what it costs to keep tensors and state dicts: torchstash, PyTorch's own ways,"
    " safetensors, TensorStore and hf-xet. Takes some ten minutes, 6 GiB of memory and 12 GiB of"
    " the folder."
)
_BUDGET_SECONDS = 8.0


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line, `argv[0]` the program. Exits with status 2 where it makes no sense."""
    parser = bench_parser("store", _DESCRIPTION)
    parser.set_defaults(budget=_BUDGET_SECONDS)
    add_folder(parser)
    parser.add_argument(
        "--scale",
        metavar="FACTOR",
        type=float,
        default=1.0,
        help="of all counts and sizes, up to 1: 0.01 for a quick look (default: %(default)s)",
    )
    arguments = parser.parse_args(argv[1:])
    if not 0 < arguments.scale <= 1:
        parser.error("argument --scale: a factor lies above 0, and is 1 at most")
    return arguments


def main(arguments: argparse.Namespace) -> int:
    """Runs the benchmark; gives the exit status."""
    # It loads PyTorch; what the command line gets wrong is said before.
    from torchstash.tools.bench.storing import benchmark, ours  # noqa: PLC0415
    from torchstash.tools.bench.storing.comparisons import STATE_DICT, Scale  # noqa: PLC0415

    run = partial(benchmark.run_benchmark, scale=Scale.of(arguments.scale))
    picture = Picture(STATE_DICT, STATE_DICT, ours.SNAPSHOT)
    return run_in_folder_and_publish("store", arguments, run, picture)


if __name__ == "__main__":
    app.run(main, flags_parser=parse)
