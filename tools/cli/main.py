"""The `torchstash` command: looks into content stores and files of cache samples.

Exit status: 0 done; 1 it could not be done, and standard error says why; 2 the command line makes
no sense. `--help` answers at once: a command loads what it needs (PyTorch, say) when it runs.
"""

import argparse
import io
import os
import sys

from absl import app

from torchstash.tools.cli.arguments import parse
from torchstash.tools.cli.errors import CommandError


def main(arguments: argparse.Namespace) -> int:
    """Runs one command; gives the exit status."""
    try:
        _COMMANDS[arguments.command](arguments)
        sys.stdout.flush()
    except CommandError as error:
        sys.stderr.write(f"torchstash: {error}\n")
        return 1
    except BrokenPipeError:
        # The reader (`head`, say) has seen enough; what Python still flushes at exit goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


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


_COMMANDS = {"ls": _ls, "show": _show, "stats": _stats, "samples": _samples}


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
