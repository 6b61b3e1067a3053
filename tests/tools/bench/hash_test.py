"""The program as users run it, but on small storages."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from torchstash.tests.tools.bench.programs import run_benchmark


@dataclass
class Run:
    out: str
    record: Any
    plot: bytes


def _hash(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return run_benchmark(
        "hash",
        *arguments,
        folder=folder,
        MPLCONFIGDIR=str(folder),
        TORCHINDUCTOR_CACHE_DIR=str(folder / "inductor"),
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("results")
    done = _hash(
        *("--devices=cpu", "--sizes=64B,5000", "--budget=0.05"),
        *("--json=hash.json", "--plot=hash.png"),
        folder=folder,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    record = json.loads((folder / "hash.json").read_text())
    return Run(done.stdout, record, (folder / "hash.png").read_bytes())


def test_everyone_is_measured_or_says_why_not(run: Run) -> None:
    names = {result["contestant"] for result in run.record["results"]}
    assert names == {
        "torchstash",
        "torchstash, hash_storages",
        "torchstash, one by one",
        "blake3 library, 1 thread",
        "blake3 library, all threads",
        "blake3 library, one by one",
        "SHA-256, hashlib",
        "SHA-1, hashlib",
        "XXH3-128, xxhash",
        "torch.hash_tensor",
        "torch content store, default",
        "torch content store, SHA-1",
        "memory read, 1 thread",
        "memory read, all threads",
    }
    for result in run.record["results"]:
        # One needs a compiler for C++, which this machine may lack.
        if result["contestant"] != "torch content store, default":
            assert result["problem"] is None, result
        assert bool(result["seconds"]) != bool(result["problem"])


def test_the_report_reads_well_in_a_log(run: Run) -> None:
    assert "\x1b" not in run.out
    for told in ("64 B", "5000 B", "1000 x 4 KiB", "GB/s", "us per call", "cores", "Figures"):
        assert told in run.out


def test_the_plot_is_a_picture(run: Run) -> None:
    assert run.plot.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("--devices=vulkan",), 1, "hash: asked for the device 'vulkan'"),
        (("--only=nobody",), 1, "there are: torchstash; "),
        (("--sizes=1KB",), 2, "usage: hash"),
    ],
)
def test_what_the_user_got_wrong_is_said_at_once(
    arguments: tuple[str, ...], status: int, told: str, tmp_path: Path
) -> None:
    done = _hash(*arguments, folder=tmp_path)
    assert done.returncode == status
    assert told in done.stderr
    assert "Traceback" not in done.stderr
