"""The command lines of what moves stores, and takes and gives files."""

import argparse
from typing import Any

_STORE_HELP = "folder of a content store"
_PLACE_HELP = (
    "another store by its folder (or file:///folder), or a URL: s3://, gs://, az://, http://, "
    "https://, redis://, grpc:// as caches take them"
)
_NAME_HELP = "name of a tensor or a snapshot; no name and no prefix: everything"
_JSON_HELP = "write JSON for programs instead of a line for people"
_FILE_EXIT = "Exit status: 0 done; 1 it could not be done, and the store or file is as it was."
_EXIT = (
    "Exit status: 0 done; 1 it could not be done, 130 it was interrupted; nothing that was moved "
    "is lost, and the same command goes on."
)

_PUSH = (
    "Moves what PLACE lacks of STORE, and then the names that lead there. Can be interrupted and "
    "repeated; several may push to one place. " + _EXIT
)
_PULL = (
    "Moves what STORE lacks of what was pushed to PLACE; everything is verified on arrival, and a "
    "name appears when all that it leads to is there. Can be interrupted and repeated. " + _EXIT
)
_CLONE = "Pulls everything at PLACE into a new store. " + _EXIT
_IMPORT = (
    "Writes the tensors of FILE to STORE, all or none: a .safetensors file, a .pt, .pth, .bin or "
    ".ckpt file of torch.save, of which nothing is run, or a folder of PyTorch's own content "
    "store. " + _FILE_EXIT
)
_EXPORT = (
    "Writes tensors, or one snapshot, to a .safetensors file. What that format cannot say is "
    "refused, unless --contiguous or --tensors-only gives it up. " + _FILE_EXIT
)


def add_moving_commands(commands: "argparse._SubParsersAction[Any]") -> None:
    """Adds `push`, `pull`, `clone`, `import` and `export`."""
    push = commands.add_parser("push", help="move a store to another place", description=_PUSH)
    push.add_argument("store", metavar="STORE", help=_STORE_HELP)
    push.add_argument("place", metavar="PLACE", help=_PLACE_HELP)
    _add_selection(push)
    push.add_argument(
        "--verify", action="store_true", help="read back what is there, and repair what is damaged"
    )
    push.add_argument(
        "--index",
        action="store_true",
        help="keep an index of names where PLACE lists too, for a web server in front of it",
    )

    pull = commands.add_parser(
        "pull", help="move into a store what is elsewhere", description=_PULL
    )
    pull.add_argument("store", metavar="STORE", help=f"{_STORE_HELP}, made if there is none")
    pull.add_argument("place", metavar="PLACE", help=_PLACE_HELP)
    _add_selection(pull)

    clone = commands.add_parser("clone", help="pull everything anew", description=_CLONE)
    clone.add_argument("place", metavar="PLACE", help=_PLACE_HELP)
    clone.add_argument("store", metavar="STORE", help="folder of the new store")

    taking = commands.add_parser("import", help="take the tensors of a file", description=_IMPORT)
    taking.add_argument("store", metavar="STORE", help=f"{_STORE_HELP}, made if there is none")
    taking.add_argument("file", metavar="FILE", help="file, or folder")
    taking.add_argument("names", metavar="NAME", nargs="*", help="tensor in the file; none: all")
    taking.add_argument("--snapshot", metavar="NAME", help="keep all as one snapshot of this name")
    taking.add_argument("--prefix", metavar="TEXT", default="", help="put before each name")

    giving = commands.add_parser("export", help="write a .safetensors file", description=_EXPORT)
    giving.add_argument("store", metavar="STORE", help=_STORE_HELP)
    giving.add_argument("file", metavar="FILE", help="the file to write")
    giving.add_argument("names", metavar="NAME", nargs="*", help="tensor; none: all")
    giving.add_argument("--snapshot", metavar="NAME", help="write this snapshot instead of tensors")
    giving.add_argument(
        "--prefix",
        metavar="TEXT",
        dest="prefixes",
        action="append",
        help="all tensors whose names begin so",
    )
    giving.add_argument(
        "--contiguous",
        action="store_true",
        help="copy tensors with strides or shared memory: how they lay is lost",
    )
    giving.add_argument("--replace", action="store_true", help="replace a file that is there")

    for command in (taking, giving):
        command.add_argument(
            "--tensors-only", action="store_true", help="leave out values that are no tensors"
        )
    for command in (push, pull, clone, taking, giving):
        command.add_argument("--json", dest="as_json", action="store_true", help=_JSON_HELP)


def _add_selection(command: argparse.ArgumentParser) -> None:
    command.add_argument("names", metavar="NAME", nargs="*", help=_NAME_HELP)
    command.add_argument(
        "--prefix",
        metavar="TEXT",
        dest="prefixes",
        action="append",
        default=[],
        help="all tensors and snapshots whose names begin so; may be given again",
    )
