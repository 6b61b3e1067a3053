"""Benchmarks as users run them."""

import os
import subprocess
import sys
from pathlib import Path


def run_benchmark(
    name: str, *arguments: str, folder: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """`bazel run //tools/bench:NAME`, from `folder`, but for Bazel."""
    return subprocess.run(
        [sys.executable, "-P", "-m", f"torchstash.tools.bench.{name}", *arguments],
        capture_output=True,
        check=False,
        env={
            **os.environ,
            "BUILD_WORKING_DIRECTORY": str(folder),
            "PYTHONPATH": os.pathsep.join(sys.path),
            **environment,
        },
        text=True,
    )
