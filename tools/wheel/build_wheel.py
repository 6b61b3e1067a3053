"""Builds a wheel with hatchling from files that Bazel names. Run by the rule in python_wheel.bzl.

Reproducible: hatchling sorts the archive and gives every entry one fixed time.
"""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from hatchling.build import build_wheel


def main() -> int:
    """Builds the wheel that was asked for; 1 where it would have another name."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    for name in ("--wheel", "--pyproject", "--readme", "--license"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--file", action="append", nargs=2, metavar=("SOURCE", "TARGET"))
    options = parser.parse_args()
    wheel = options.wheel.absolute()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shutil.copyfile(options.pyproject, root / "pyproject.toml")
        shutil.copyfile(options.readme, root / "README.md")
        shutil.copyfile(options.license, root / "LICENSE")
        for source, target in options.file:
            (root / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, root / target)
        os.chdir(root)
        built = build_wheel(folder)
        if built != wheel.name:
            sys.stderr.write(
                f"pyproject.toml makes {built}, the BUILD file says {wheel.name}: give both the"
                " same name and version\n"
            )
            return 1
        shutil.move(built, wheel)
    return 0


if __name__ == "__main__":
    sys.exit(main())
