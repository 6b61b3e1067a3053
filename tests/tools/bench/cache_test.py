"""The program as users run it, but for a moment."""

import json
from pathlib import Path

from torchstash.tests.tools.bench.programs import run_benchmark


def test_everyone_is_measured_and_nothing_is_left(tmp_path: Path) -> None:
    done = run_benchmark(
        "cache", "--folder=.", "--json=cache.json", "--budget=0.01", folder=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    record = json.loads((tmp_path / "cache.json").read_text())
    assert len(record["results"]) == 5 + 2 * 2 * 4 + 2 * 3 * 6 + 2 * 5
    without = [result["contestant"] for result in record["results"] if result["problem"]]
    assert without == ["torch RemoteCache, redis-py, at once"]
    assert len(record["figures"]) == 9
    assert [path.name for path in tmp_path.iterdir()] == ["cache.json"]
    # Nothing is moved by a backend that does nothing.
    assert "nothing: us per call" in done.stdout
    assert "nothing: GB/s" not in done.stdout


def test_what_the_user_got_wrong_is_said(tmp_path: Path) -> None:
    for argument, status, told in (
        ("--sizes=4", 2, "a value has 8 B at least"),
        ("--folder=absent", 1, "absent"),
    ):
        done = run_benchmark("cache", argument, folder=tmp_path)
        assert done.returncode == status
        assert told in done.stderr
        assert "Traceback" not in done.stderr
