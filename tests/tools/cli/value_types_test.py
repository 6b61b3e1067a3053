"""Values on the command line."""

import argparse

import pytest

from torchstash.tools.cli.value_types import NO_LIMIT, byte_count, moment, seconds


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("1000", 1000),
        ("5B", 5),
        ("2k", 2000),
        ("2 KiB", 2048),
        ("3MB", 3_000_000),
        ("500GiB", 500 << 30),
        ("1tib", 1 << 40),
        ("None", NO_LIMIT),
    ],
)
def test_bytes(text: str, value: int | str) -> None:
    assert byte_count(text) == value


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5G", "1 i", "GiB", "1XiB"])
def test_what_is_no_number_of_bytes(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="number of bytes"):
        byte_count(text)


def test_times() -> None:
    assert moment("2031-05-04T12:30+00:00").timestamp() == 1_935_664_200
    assert moment("2031-05-04").utcoffset() is not None
    for text in ("", "yesterday", "12:30"):
        with pytest.raises(argparse.ArgumentTypeError, match="is no time"):
            moment(text)


def test_seconds() -> None:
    assert seconds("1.5") == 1.5
    for text in ("", "-1", "nan", "inf", "x"):
        with pytest.raises(argparse.ArgumentTypeError, match="seconds"):
            seconds(text)
