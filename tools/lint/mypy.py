"""Runs the locked mypy over the workspace, generated stubs and locked packages included.

The workspace is the package `torchstash` whatever its folder is called, and its `proto` holds
what the build generates: so mypy reads a tree of links.
"""

import os
import sys
import tempfile
from pathlib import Path

from mypy.main import main

_PACKAGES = ("cache", "content_store", "prims", "proto", "tests", "tools")


def link_tree(workspace: Path, generated: Path, root: Path) -> None:
    """Makes `root` a folder in which `torchstash` is the workspace with its generated code."""
    package = root / "torchstash"
    package.mkdir()
    for name in ("__init__.py", "py.typed", *_PACKAGES):
        source = generated if name == "proto" else workspace
        (package / name).symlink_to(source / name)


def check(workspace: Path, generated: Path, arguments: list[str]) -> None:
    """Type-checks every package of the workspace; exits with mypy's status where it is not 0."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "torchstash", "mypy")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        link_tree(workspace, generated, root)
        os.chdir(root)
        main(
            args=[
                f"--config-file={workspace / 'pyproject.toml'}",
                f"--cache-dir={cache}",
                *(argument for name in _PACKAGES for argument in ("-p", f"torchstash.{name}")),
                *arguments,
            ],
            clean_exit=True,
        )


if __name__ == "__main__":
    check(Path(os.environ["BUILD_WORKSPACE_DIRECTORY"]), Path.cwd(), sys.argv[1:])
