"""torchstash at work, once through: `tools/bazelw run //tools/demo`.

In order: a network is trained on handwritten digits, and each step's state goes into a content
store; everything is read back and compared bit by bit; a traced graph loads its inputs by name;
a function is compiled by two processes that share a cache; a report tells what happened. Needs no
server and no flag. Exit status 1: something came back wrong, or could not run; standard error
says what.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from absl import app, flags
from rich.console import Console

from torchstash.cache import CacheError
from torchstash.content_store import ContentStoreError
from torchstash.prims import PrimsError
from torchstash.tools.demo.errors import DemoError
from torchstash.tools.demo.folder import default_folder, fresh_folder
from torchstash.tools.demo.report import print_report
from torchstash.tools.demo.stages import run_stages

_FOLDER = flags.DEFINE_string(
    "folder",
    None,
    "Where to leave the files; emptied first. Default: torchstash/demo in the user's cache folder.",
)
_STEPS = flags.DEFINE_integer("steps", 8, "Steps of fine-tuning, a snapshot each.", lower_bound=1)


def main(arguments: Sequence[str]) -> int:
    """Runs the demo; gives the exit status."""
    if len(arguments) > 1:
        raise app.UsageError(f"unexpected arguments: {' '.join(arguments[1:])}")
    # `bazel run` starts programs elsewhere, and says where the user stands.
    here = os.environ.get("BUILD_WORKING_DIRECTORY", ".")
    folder = default_folder() if _FOLDER.value is None else Path(here, _FOLDER.value).absolute()
    torch.manual_seed(0)
    # More threads than one wait longer than they work, on images as small as these.
    torch.set_num_threads(1)
    console = Console()
    try:
        with fresh_folder(folder):
            print_report(console, run_stages(folder, _STEPS.value, console))
    except (DemoError, CacheError, ContentStoreError, PrimsError, OSError) as error:
        sys.stderr.write(f"demo: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("demo: interrupted\n")
        return 130
    return 0


if __name__ == "__main__":
    app.run(main)
