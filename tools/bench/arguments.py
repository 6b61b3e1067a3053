"""The part of the command line that all benchmarks share."""

import argparse
import os
import tempfile
from pathlib import Path

from absl.flags import argparse_flags

from torchstash.tools.bench.measure import Effort
from torchstash.tools.bench.sizes import parse_size

_EPILOG = "What the rows mean and how to read them: tools/bench/README.md."


def bench_parser(benchmark: str, description: str) -> argparse.ArgumentParser:
    """A parser to which the benchmark adds what only it has."""
    parser: argparse.ArgumentParser = argparse_flags.ArgumentParser(  # type: ignore[no-untyped-call]
        prog=benchmark, description=description, epilog=_EPILOG
    )
    parser.add_argument(
        "--only",
        metavar="TEXT,...",
        type=parse_names,
        help="run only contestants whose names contain one of these texts, in either case",
    )
    parser.add_argument(
        "--budget",
        metavar="SECONDS",
        type=_seconds,
        default=Effort.budget_seconds,
        help="spent on each contestant in each case, at most; the slow ones give fewer samples,"
        " but one at least (default: %(default)s)",
    )
    parser.add_argument("--json", metavar="PATH", type=_output, help="also write all samples here")
    parser.add_argument(
        "--plot",
        metavar="PATH.png",
        type=_output,
        help="also draw GB/s over size (.svg and .pdf work too); needs matplotlib",
    )
    return parser


def add_folder(parser: argparse.ArgumentParser) -> None:
    """Lets the user say on which file system a benchmark makes its stores."""
    parser.add_argument(
        "--folder",
        metavar="PATH",
        default=tempfile.gettempdir(),
        help="the stores are made in a folder within, which is removed (default: %(default)s)",
    )


def parse_sizes(text: str) -> list[int]:
    """Bytes of each size in a list with commas, the smallest first.

    Raises:
        argparse.ArgumentTypeError: One is no size.
    """
    return sorted({parse_size(size) for size in text.split(",")})


def parse_names(text: str) -> list[str]:
    """The names in a list with commas.

    Raises:
        argparse.ArgumentTypeError: There is none.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError("names nothing")
    return names


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write seconds, such as 0.5")
    return seconds


def _output(text: str) -> Path:
    # `bazel run` starts programs elsewhere, and says where the user stands.
    path = Path(os.environ.get("BUILD_WORKING_DIRECTORY", "."), text).absolute()
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {path.parent}; make it first")
    return path
