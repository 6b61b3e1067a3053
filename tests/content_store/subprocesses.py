"""The interpreter of these tests, with what they can import."""

import os
import subprocess
import sys

PYTHON = [sys.executable, "-W", "error"]


def run_python(program: str, *arguments: str) -> str:
    """What a program prints that another interpreter runs to its end."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    done = subprocess.run(
        [*PYTHON, "-c", program, *arguments],
        env=os.environ | {"PYTHONPATH": path},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
