"""Values on the command line, as people write them. Each raises ValueError for nonsense."""

import re
from argparse import ArgumentTypeError
from datetime import datetime

_BYTES = re.compile(r"(\d+)\s*(|[KMGTP]i?)B?", re.IGNORECASE)
_PREFIXES = " kmgtp"

NO_LIMIT = "none"


def byte_count(text: str) -> int | str:
    """Of "500GiB", "2 GB" or "1000"; "none" stays as it is."""
    if text.lower() == NO_LIMIT:
        return NO_LIMIT
    match = _BYTES.fullmatch(text.strip())
    if match is None:
        raise ArgumentTypeError(f'{text!r} is no number of bytes; write "500GiB", "1000" or "none"')
    prefix = match[2].lower()
    base = 1024 if prefix.endswith("i") else 1000
    factor: int = base ** _PREFIXES.index(prefix[:1] or " ")
    return int(match[1]) * factor


def moment(text: str) -> datetime:
    """An ISO 8601 date or time; without a zone, in that of this machine."""
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError) as error:
        raise ArgumentTypeError(
            f'{text!r} is no time; write "2031-05-04" or "2031-05-04T12:30"'
        ) from error


def seconds(text: str) -> float:
    """A number of seconds, 0 or more."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ArgumentTypeError(f"{text!r} is no number of seconds")
    return value
