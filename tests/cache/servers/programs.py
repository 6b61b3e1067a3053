"""Where the programs are that wheels bring: Bazel tells by variables, else they are installed."""

import os
import shutil
import sys
from pathlib import Path


def program(name: str) -> str:
    """The absolute path of a program.

    Raises:
        AssertionError: It is not there.
    """
    told = os.environ.get(f"TORCHSTASH_{name.upper().replace('-', '_')}")
    if told is not None:
        return str(Path(told).absolute())
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    assert found is not None, f"{name} is not installed; its wheel is in tools/deps"
    return found
