"""The command line of `torchstash`."""

import argparse
from collections.abc import Sequence

from absl.flags import argparse_flags

from torchstash.tools.cli.moving_arguments import add_moving_commands
from torchstash.tools.cli.value_types import byte_count, moment, seconds

_STORE_HELP = "folder of a content store"
_JSON_HELP = "write JSON for programs instead of a table for people"

_LS = "Lists tensors in the order of their names. With --json, one object for each line."
_SHOW = "Shows the metadata of one tensor, and its values in brief."
_VERIFY = (
    "Examines a store and hashes every storage again; one line for each problem, as it is found. "
    "Changes nothing. Ends with status 3 where something is wrong."
)
_GC = (
    "Removes what writers that died have left behind. Safe while others read and write. What no "
    "name leads to any more needs no collection: it goes with the last name."
)
_REPAIR = (
    "Puts right what can be: corrects the store's books, and marks damaged contents, so that the "
    "next write of the same contents writes them anew. Ends with status 3 where something was "
    "lost, and tells the names to write again. Where the catalogue itself cannot be read any more: "
    "--salvage, while nobody uses the store."
)
_SALVAGE_HELP = (
    "make a new catalogue from what can be read of a damaged one, and keep that aside; every "
    "contents are checked by their digest, and none are changed or removed"
)
_RM = "Forgets tensors, and their storages unless something else leads there."
_MV = "Gives a tensor another name, in one step."
_QUOTA = (
    "Shows what the contents take and what they may. With BYTES: no write may take the contents "
    "beyond it, whoever writes; such a write fails, and nothing is evicted."
)
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
        description="Looks into stores and files of cache samples; looks after stores, moves them.",
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

    for command in (ls, show, stats, samples, *_maintenance(commands)):
        command.add_argument("--json", dest="as_json", action="store_true", help=_JSON_HELP)
    _names(commands)
    add_moving_commands(commands)
    return parser.parse_args(argv[1:])


def _maintenance(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> list[argparse.ArgumentParser]:
    verify = commands.add_parser("verify", help="examine a store", description=_VERIFY)
    verify.add_argument("store", metavar="STORE", help=_STORE_HELP)
    verify.add_argument(
        "--since",
        metavar="TIME",
        type=moment,
        help="hash only what names lead to that were written since: an ISO 8601 date or time",
    )

    gc = commands.add_parser("gc", help="remove what dead writers left", description=_GC)
    gc.add_argument("store", metavar="STORE", help=_STORE_HELP)
    gc.add_argument(
        "--grace",
        metavar="SECONDS",
        type=seconds,
        default=3600.0,
        help="keep unpublished files that were written to more recently (default: 3600)",
    )
    gc.add_argument(
        "--audit",
        action="store_true",
        help="look at every file, for what power loss or an older torchstash left",
    )
    gc.add_argument("--dry-run", action="store_true", help="remove nothing; tell what would go")

    repair = commands.add_parser("repair", help="put right what can be", description=_REPAIR)
    repair.add_argument("store", metavar="STORE", help=_STORE_HELP)
    repair.add_argument("--salvage", action="store_true", help=_SALVAGE_HELP)

    quota = commands.add_parser("quota", help="show or set a store's quota", description=_QUOTA)
    quota.add_argument("store", metavar="STORE", help=_STORE_HELP)
    quota.add_argument(
        "quota_bytes",
        metavar="BYTES",
        nargs="?",
        type=byte_count,
        help='"500GiB", "1000000"; or "none" for no quota',
    )
    return [verify, gc, repair, quota]


def _names(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    rm = commands.add_parser("rm", help="forget tensors or snapshots", description=_RM)
    rm.add_argument("store", metavar="STORE", help=_STORE_HELP)
    rm.add_argument("names", metavar="NAME", nargs="+", help="name of a tensor")

    mv = commands.add_parser("mv", help="rename a tensor or a snapshot", description=_MV)
    mv.add_argument("store", metavar="STORE", help=_STORE_HELP)
    mv.add_argument("name", metavar="NAME", help="name of a tensor")
    mv.add_argument("new_name", metavar="NEW_NAME", help="its name from now on")
    mv.add_argument(
        "--replace", action="store_true", help="let what is called NEW_NAME go; else it is an error"
    )
    for command in (rm, mv):
        command.add_argument(
            "--snapshot", action="store_true", help="names are of saved state dicts, not of tensors"
        )
