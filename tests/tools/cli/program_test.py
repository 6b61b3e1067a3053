"""The command as a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import torch

from torchstash.content_store import ContentStoreWriter

_COMMAND = [sys.executable, "-P", "-m", "torchstash.tools.cli.main"]
_ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def _run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*_COMMAND, *arguments],
        capture_output=True,
        check=False,
        env={**_ENVIRONMENT, **environment},
        text=True,
    )


def test_help_comes_without_loading_torch() -> None:
    done = _run("--help", PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    assert "usage: torchstash" in done.stdout
    assert "absl" in done.stderr
    assert "| torch\n" not in done.stderr
    assert "google.protobuf" not in done.stderr


def test_statuses_reach_the_shell(tmp_path: Path) -> None:
    assert _run("ls", tmp_path / "absent").returncode == 1
    assert _run("ls").returncode == 2


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    with ContentStoreWriter(tmp_path) as writer:
        writer.write_tensor("name", torch.zeros(1))
    reader, writer_end = os.pipe()
    os.close(reader)
    with os.fdopen(writer_end, "wb") as closed_pipe:
        done = subprocess.run(
            [*_COMMAND, "ls", tmp_path],
            check=False,
            env=_ENVIRONMENT,
            stderr=subprocess.PIPE,
            stdout=closed_pipe,
        )
    assert done.stderr == b""
    assert done.returncode == 0


def test_a_name_that_the_terminal_cannot_show_is_escaped(tmp_path: Path) -> None:
    with ContentStoreWriter(tmp_path) as writer:
        writer.write_tensor("größe", torch.zeros(1))
    done = _run("ls", tmp_path, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert r"gr\xf6\xdfe" in done.stdout


def test_a_relative_store_is_where_the_user_stands_under_bazel_run(tmp_path: Path) -> None:
    ContentStoreWriter(tmp_path / "store").close()
    done = _run("stats", "store", BUILD_WORKING_DIRECTORY=str(tmp_path))
    assert done.returncode == 0, done.stderr
