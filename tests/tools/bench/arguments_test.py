from pathlib import Path

import pytest

from torchstash.tools.bench.arguments import bench_parser


def test_what_is_not_asked_for_has_its_default() -> None:
    arguments = bench_parser("hash", "").parse_args([])
    assert arguments.only is arguments.json is arguments.plot is None
    assert arguments.budget == 2.0


def test_lists_are_split_at_commas() -> None:
    arguments = bench_parser("hash", "").parse_args(["--only=blake3, SHA"])
    assert arguments.only == ["blake3", "SHA"]


def test_a_relative_path_is_where_the_user_stands_under_bazel_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUILD_WORKING_DIRECTORY", str(tmp_path))
    assert bench_parser("hash", "").parse_args(["--json=x.json"]).json == tmp_path / "x.json"


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("--budget=0", "no time"),
        ("--budget=x", "no time"),
        ("--budget=nan", "no time"),
        ("--only=,", "names nothing"),
        ("--json=absent/x.json", "absent; make it first"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_measured(
    argument: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        bench_parser("hash", "").parse_args([argument])
    assert raised.value.code == 2
    assert told in capsys.readouterr().err
