"""What checkpoints cost: `tools/bazelw run //tools/bench:checkpoint`.

`torch.distributed.checkpoint` over our store and over PyTorch's files, all in one run. Exit
status 1: it could not run, and standard error says why; 2: the command line makes no sense; 130:
interrupted.
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from absl import app
from rich.console import Console

from torchstash.tools.bench.arguments import bench_parser, parse_sizes
from torchstash.tools.bench.measure import Effort
from torchstash.tools.bench.plot import require_matplotlib
from torchstash.tools.bench.program import exit_status
from torchstash.tools.bench.publish import Picture, publish

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
    parser.add_argument(
        "--folder",
        metavar="PATH",
        default=tempfile.gettempdir(),
        help="the stores are made in a folder within, which is removed (default: %(default)s)",
    )
    arguments = parser.parse_args(argv[1:])
    if min(arguments.sizes) < _LEAST_BYTES:
        parser.error(f"argument --sizes: a state dict has {_LEAST_BYTES} B at least")
    return arguments


def main(arguments: argparse.Namespace) -> int:
    """Runs the benchmark; gives the exit status."""
    # It loads PyTorch; what the command line gets wrong is said before.
    from torchstash.tools.bench.checkpointing import benchmark, formats  # noqa: PLC0415

    # `bazel run` starts programs elsewhere, and says where the user stands.
    inside = Path(os.environ.get("BUILD_WORKING_DIRECTORY", "."), arguments.folder).absolute()

    def run() -> None:
        if arguments.plot is not None:
            require_matplotlib()
        with tempfile.TemporaryDirectory(dir=inside) as folder:
            outcome = benchmark.run_benchmark(
                sizes=arguments.sizes,
                folder=Path(folder),
                only=arguments.only or (),
                effort=Effort(budget_seconds=arguments.budget),
                console=Console(stderr=True),
            )
        publish(
            outcome,
            json_path=arguments.json,
            plot_path=arguments.plot,
            picture=Picture(benchmark.SAVE, "Saving a checkpoint", formats.OURS),
        )

    return exit_status("checkpoint", run)


if __name__ == "__main__":
    app.run(main, flags_parser=parse)
