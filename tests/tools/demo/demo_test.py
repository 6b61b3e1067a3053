"""The demo as users run it, but for fewer steps."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from torchstash.cache import DiskBackend, read_samples, summarize_samples
from torchstash.content_store import ContentStoreReader
from torchstash.tools.cli.store_totals import total

_STEPS = 3


@dataclass
class Run:
    folder: Path
    out: str


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("caches")
    done = _demo(f"--steps={_STEPS}", XDG_CACHE_HOME=str(folder))
    assert done.returncode == 0, done.stderr
    return Run(folder / "torchstash" / "demo", done.stdout)


def _demo(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "torchstash.tools.demo.demo", *arguments],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        text=True,
    )


def test_every_step_is_in_the_store_and_most_of_it_once(run: Run) -> None:
    with ContentStoreReader(run.folder / "store") as reader:
        totals = total(reader)
        names = list(reader.names())
    assert {name.split("/")[0] for name in names} == {"step-001", "step-002", "step-003"}
    assert "step-002/state/head.weight" in names
    assert totals.tensors == len(names) == _STEPS * len(names[::_STEPS])
    assert totals.stored_bytes * 3 < totals.logical_bytes


def test_the_second_process_hits_what_the_first_one_stored(run: Run) -> None:
    samples = run.folder / "compile" / "samples"
    first = summarize_samples(read_samples(samples / "first_process.binpb"))
    second = summarize_samples(read_samples(samples / "second_process.binpb"))
    assert first.keys() == second.keys() != set()
    assert all(each.misses and not each.hits for each in first.values())
    assert all(each.hits and not each.misses for each in second.values())
    with DiskBackend.open_read_only(run.folder / "compile" / "cache") as cache:
        assert next(cache.keys(), None) is not None


def test_the_report_tells_it_and_reads_well_in_a_log(run: Run) -> None:
    assert "\r" not in run.out
    assert "\x1b" not in run.out
    for told in ("logical", "stored", "2nd process", "1 hit, 0 misses", "pre-train"):
        assert told in run.out
    assert str(run.folder / "store") in run.out
    assert "debugprims.load_tensor('step-003/state/head.weight', [10, 768], [768, 1]" in run.out


def test_the_suggested_commands_work(run: Run) -> None:
    commands = [line for line in run.out.splitlines() if "torchstash.tools.cli.main" in line]
    assert len(commands) == 2
    for command in commands:
        done = subprocess.run(
            command.split(),
            capture_output=True,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) > 1


def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    done = _demo(f"--folder={tmp_path}")
    assert done.returncode == 1
    assert done.stderr.startswith("demo: ")
    assert "thesis" not in done.stdout
    assert "Traceback" not in done.stderr
