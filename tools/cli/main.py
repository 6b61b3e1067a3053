"""The `torchstash` command: looks into stores and files of samples, looks after stores, moves them.

Exit status: 0 done; 1 it could not be done, and standard error says why; 2 the command line makes
no sense; 3 something is wrong with the store that was examined; 130 it was interrupted. `--help`
answers at once: a command loads what it needs (PyTorch, say) when it runs.
"""

import argparse
import io
import os
import sys
from collections.abc import Callable

from absl import app

from torchstash.tools.cli.arguments import parse
from torchstash.tools.cli.errors import CommandError


def main(arguments: argparse.Namespace) -> int:
    """Runs one command; gives the exit status."""
    try:
        status = _COMMANDS[arguments.command](arguments)
        sys.stdout.flush()
    except CommandError as error:
        sys.stderr.write(f"torchstash: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("torchstash: interrupted\n")
        return 130
    except BrokenPipeError:
        # The reader (`head`, say) has seen enough; what Python still flushes at exit goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status or 0


def _ls(arguments: argparse.Namespace) -> None:
    if arguments.snapshots:
        from torchstash.tools.cli.snapshots import list_snapshots  # noqa: PLC0415 - loads PyTorch

        list_snapshots(arguments.store, arguments.prefix, as_json=arguments.as_json)
        return
    from torchstash.tools.cli.ls import list_tensors  # noqa: PLC0415 - loads PyTorch

    list_tensors(arguments.store, arguments.prefix, as_json=arguments.as_json)


def _show(arguments: argparse.Namespace) -> None:
    if arguments.snapshot:
        from torchstash.tools.cli.snapshots import show_snapshot  # noqa: PLC0415 - loads PyTorch

        show_snapshot(arguments.store, arguments.name, as_json=arguments.as_json)
        return
    from torchstash.tools.cli.show import show_tensor  # noqa: PLC0415 - loads PyTorch

    show_tensor(arguments.store, arguments.name, as_json=arguments.as_json)


def _stats(arguments: argparse.Namespace) -> None:
    from torchstash.tools.cli.stats import print_stats  # noqa: PLC0415 - loads PyTorch

    print_stats(arguments.store, as_json=arguments.as_json)


def _samples(arguments: argparse.Namespace) -> None:
    from torchstash.tools.cli.samples import print_samples  # noqa: PLC0415 - loads protobuf

    print_samples(arguments.file, as_json=arguments.as_json)


def _verify(arguments: argparse.Namespace) -> int:
    from torchstash.tools.cli.verify import verify_store  # noqa: PLC0415 - loads PyTorch

    is_sound = verify_store(arguments.store, arguments.since, as_json=arguments.as_json)
    return 0 if is_sound else _WRONG


def _repair(arguments: argparse.Namespace) -> int:
    if arguments.salvage:
        from torchstash.tools.cli.salvage import salvage_store  # noqa: PLC0415 - loads PyTorch

        return 0 if salvage_store(arguments.store, as_json=arguments.as_json) else _WRONG
    from torchstash.tools.cli.repair import repair_store  # noqa: PLC0415 - loads PyTorch

    return 0 if repair_store(arguments.store, as_json=arguments.as_json) else _WRONG


def _gc(arguments: argparse.Namespace) -> None:
    from torchstash.tools.cli.gc import collect_garbage  # noqa: PLC0415 - loads PyTorch

    collect_garbage(
        arguments.store,
        grace_seconds=arguments.grace,
        audit=arguments.audit,
        dry_run=arguments.dry_run,
        as_json=arguments.as_json,
    )


def _push(arguments: argparse.Namespace) -> None:
    from torchstash.tools.cli.moving import push_store  # noqa: PLC0415 - loads PyTorch

    push_store(
        arguments.store,
        arguments.place,
        arguments.names,
        arguments.prefixes,
        verify=arguments.verify,
        index=arguments.index,
        as_json=arguments.as_json,
    )


def _quota(arguments: argparse.Namespace) -> None:
    from torchstash.tools.cli.quota import show_or_set_quota  # noqa: PLC0415 - loads PyTorch

    show_or_set_quota(arguments.store, arguments.quota_bytes, as_json=arguments.as_json)


def _rm(arguments: argparse.Namespace) -> None:
    from torchstash.tools.cli.names import remove  # noqa: PLC0415 - loads PyTorch

    remove(arguments.store, arguments.names, snapshots=arguments.snapshot)


def _mv(arguments: argparse.Namespace) -> None:
    from torchstash.tools.cli.names import rename  # noqa: PLC0415 - loads PyTorch

    rename(
        arguments.store,
        arguments.name,
        arguments.new_name,
        snapshot=arguments.snapshot,
        replace=arguments.replace,
    )


def _pull(arguments: argparse.Namespace) -> None:
    from torchstash.tools.cli.moving import pull_store  # noqa: PLC0415 - loads PyTorch

    pull_store(
        arguments.store,
        arguments.place,
        arguments.names,
        arguments.prefixes,
        as_json=arguments.as_json,
    )


def _clone(arguments: argparse.Namespace) -> None:
    from torchstash.tools.cli.moving import clone_store  # noqa: PLC0415 - loads PyTorch

    clone_store(arguments.place, arguments.store, as_json=arguments.as_json)


def _import(arguments: argparse.Namespace) -> None:
    from torchstash.tools.cli.exchanging import take_file  # noqa: PLC0415 - loads PyTorch

    take_file(
        arguments.store,
        arguments.file,
        arguments.names,
        snapshot=arguments.snapshot,
        prefix=arguments.prefix,
        tensors_only=arguments.tensors_only,
        as_json=arguments.as_json,
    )


def _export(arguments: argparse.Namespace) -> None:
    from torchstash.tools.cli.exchanging import give_file  # noqa: PLC0415 - loads PyTorch

    give_file(
        arguments.store,
        arguments.file,
        arguments.names,
        arguments.prefixes,
        snapshot=arguments.snapshot,
        contiguous=arguments.contiguous,
        tensors_only=arguments.tensors_only,
        replace=arguments.replace,
        as_json=arguments.as_json,
    )


_WRONG = 3

_COMMANDS: dict[str, Callable[[argparse.Namespace], int | None]] = {
    "clone": _clone,
    "export": _export,
    "gc": _gc,
    "import": _import,
    "ls": _ls,
    "mv": _mv,
    "pull": _pull,
    "push": _push,
    "quota": _quota,
    "repair": _repair,
    "rm": _rm,
    "samples": _samples,
    "show": _show,
    "stats": _stats,
    "verify": _verify,
}


def run() -> None:
    """The console script."""
    # `bazel run` starts programs elsewhere, and says where the user stands.
    os.chdir(os.environ.get("BUILD_WORKING_DIRECTORY", "."))
    for stream in (sys.stdout, sys.stderr):
        # A name is any text; the encoding of a terminal may lack some of it.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app.run(main, flags_parser=parse)


if __name__ == "__main__":
    run()
