"""Sizes in bytes as people write them: "64 B", "4 KiB", "1 GiB"."""

import argparse
import re

_UNITS = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_WRITTEN = re.compile(r"(\d+)\s*([A-Za-z]*)")


def parse_size(text: str) -> int:
    """Bytes, at least one.

    Raises:
        argparse.ArgumentTypeError: It is no size; the message says how one is written.
    """
    written = _WRITTEN.fullmatch(text.strip())
    if written is None or written[2] not in _UNITS or int(written[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write 64B, 4KiB, 1MiB or 1GiB")
    return int(written[1]) * _UNITS[written[2]]


def format_size(size_bytes: int) -> str:
    """In the largest unit that leaves no remainder."""
    for unit in ("GiB", "MiB", "KiB"):
        if size_bytes and size_bytes % _UNITS[unit] == 0:
            return f"{size_bytes // _UNITS[unit]} {unit}"
    return f"{size_bytes} B"
