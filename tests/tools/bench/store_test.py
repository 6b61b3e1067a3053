"""The program as users run it, but for a moment."""

import json
from pathlib import Path

from torchstash.tests.tools.bench.programs import run_benchmark


def test_everyone_is_measured_and_nothing_is_left(tmp_path: Path) -> None:
    arguments = ("--folder=.", "--json=store.json", "--scale=0.0005", "--budget=0.001")
    done = run_benchmark("store", *arguments, "--only=torchstash,plain", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "store.json").read_text())
    assert len(record["results"]) == 3 * 1 + 3 * 2 + 4 * 4 + 5 * 3 + 3
    assert not [result for result in record["results"] if result["problem"] is not None]
    assert len(record["figures"]) == 3 + 1 + 1 + 2 + 2
    assert [path.name for path in tmp_path.iterdir()] == ["store.json"]


def test_what_the_user_got_wrong_is_said(tmp_path: Path) -> None:
    for argument, status, told in (
        ("--scale=2", 2, "is 1 at most"),
        ("--folder=absent", 1, "absent"),
        ("--only=nobody", 1, "no contestant is called like nobody"),
    ):
        done = run_benchmark("store", argument, folder=tmp_path)
        assert done.returncode == status
        assert told in done.stderr
        assert "Traceback" not in done.stderr
