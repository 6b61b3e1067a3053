"""Runs the locked ruff in the workspace."""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    program = Path(os.environ["TORCHSTASH_RUFF"]).absolute()
    os.chdir(os.environ["BUILD_WORKSPACE_DIRECTORY"])
    os.execv(program, [str(program), *sys.argv[1:]])  # noqa: S606 - the program is locked.
