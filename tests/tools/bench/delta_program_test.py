"""The program as users run it, but for a moment."""

import json
from pathlib import Path

from torchstash.tests.tools.bench.programs import run_benchmark


def test_everyone_is_measured_and_nothing_is_left(tmp_path: Path) -> None:
    done = run_benchmark(
        "delta", "--folder=.", "--json=delta.json", "--budget=0.01", "--sizes=1MiB", folder=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    record = json.loads((tmp_path / "delta.json").read_text())
    assert len(record["results"]) == 4 + 5
    assert not [result for result in record["results"] if result["problem"] is not None]
    assert len(record["figures"]) == 2 * 4 + 4
    assert [path.name for path in tmp_path.iterdir()] == ["delta.json"]


def test_what_the_user_got_wrong_is_said(tmp_path: Path) -> None:
    for argument, status, told in (
        ("--sizes=4", 2, "64 KiB at least"),
        ("--folder=absent", 1, "absent"),
    ):
        done = run_benchmark("delta", argument, folder=tmp_path)
        assert done.returncode == status
        assert told in done.stderr
        assert "Traceback" not in done.stderr
