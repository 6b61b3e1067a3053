"""Another Python process that imports what this one does."""

import os
import subprocess
import sys


def python_environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the interpreter of this process; `check` the result yourself."""
    return subprocess.run(
        [sys.executable, *arguments],
        env=python_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
