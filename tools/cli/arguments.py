"""The command line of `torchstash`."""

import argparse
from collections.abc import Sequence

from absl.flags import argparse_flags

_STORE_HELP = "folder of a content store"
_JSON_HELP = "write JSON for programs instead of a table for people"

_LS = "Lists tensors in the order of their names. With --json, one object for each line."
_SHOW = "Shows the metadata of one tensor, and its values in brief."
_STATS = (
    "Counts tensors, storages and snapshots. Logical bytes count each tensor by itself; stored "
    "bytes count each storage that tensors lie in once, and of a delta its own bytes."
)
_SNAPSHOTS_HELP = (
    "snapshots (state dicts) instead of tensors: what they hold, what they keep, and how many "
    "deltas lead to them"
)
_SAMPLES = "Summarizes a file of samples for each cache: operations, hits, bytes, times, outcomes."


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line, `argv[0]` the program. Exits with status 2 where it makes no sense."""
    parser: argparse.ArgumentParser = argparse_flags.ArgumentParser(  # type: ignore[no-untyped-call]
        prog="torchstash",
        description="Looks into content stores and files of cache samples. Changes nothing.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    ls = commands.add_parser("ls", help="list tensors by name", description=_LS)
    ls.add_argument("store", metavar="STORE", help=_STORE_HELP)
    ls.add_argument("prefix", metavar="PREFIX", nargs="?", default="", help="start of the names")
    ls.add_argument("--snapshots", action="store_true", help=_SNAPSHOTS_HELP)

    show = commands.add_parser("show", help="describe one tensor", description=_SHOW)
    show.add_argument("store", metavar="STORE", help=_STORE_HELP)
    show.add_argument("name", metavar="NAME", help="name of a tensor")
    show.add_argument("--snapshot", action="store_true", help="NAME is that of a snapshot")

    stats = commands.add_parser("stats", help="count tensors and bytes", description=_STATS)
    stats.add_argument("store", metavar="STORE", help=_STORE_HELP)

    samples = commands.add_parser("samples", help="summarize cache samples", description=_SAMPLES)
    samples.add_argument("file", metavar="FILE", help="file that a FileSink has written")

    for command in (ls, show, stats, samples):
        command.add_argument("--json", dest="as_json", action="store_true", help=_JSON_HELP)
    return parser.parse_args(argv[1:])
