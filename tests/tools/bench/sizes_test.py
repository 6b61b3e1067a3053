import argparse

import pytest

from torchstash.tools.bench.sizes import format_size, parse_size


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("64", 64), ("64B", 64), ("4 KiB", 4096), (" 1MiB ", 1 << 20), ("3GiB", 3 << 30)],
)
def test_sizes_are_read(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "0", "-1", "1KB", "1.5GiB", "GiB", "4 KiB 5"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="write 64B"):
        parse_size(text)


@pytest.mark.parametrize(
    "text", ["1 B", "1023 B", "1 KiB", "1025 B", "1536 KiB", "64 MiB", "2 GiB"]
)
def test_what_is_written_reads_back(text: str) -> None:
    assert format_size(parse_size(text)) == text
