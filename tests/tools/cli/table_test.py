from collections.abc import Iterator

import pytest

from torchstash.tools.cli.table import print_table, printable


def test_piped_rows_are_aligned_and_whole(capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 500
    print_table(("COUNT", "NAME"), [("1", "a"), ("1234567", long)], right=("COUNT",))
    assert capsys.readouterr().out == f"  COUNT  NAME\n      1  a\n1234567  {long}\n"


def test_on_a_terminal_a_long_name_is_folded_and_never_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("FORCE_COLOR", "1"), ("TERM", "xterm"), ("COLUMNS", "40")):
        monkeypatch.setenv(name, value)
    print_table(("COUNT", "NAME"), [("1234567", "[red]" + "x" * 200)])
    out = capsys.readouterr().out
    assert out.count("x") == 200
    assert "[red]" in out
    assert "1234567" in out


def test_rows_come_before_the_last_one_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    written = []

    def rows() -> Iterator[list[str]]:
        for i in range(2000):
            if i == 1999:
                written.append(capsys.readouterr().out.count("\n"))
            yield [str(i)]

    print_table(("N",), rows())
    assert written[0] > 1000
    assert capsys.readouterr().out.endswith("1999\n")


def test_no_rows_leave_the_titles(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("A", "B"), [])
    assert capsys.readouterr().out == "A  B\n"


def test_what_steers_a_terminal_is_escaped() -> None:
    assert printable("a\x1b[2J\n\u202eb") == r"a\x1b[2J\n\u202eb"
    assert printable("größe 日本") == "größe 日本"
