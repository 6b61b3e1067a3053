"""The types that options in a URL have, with their units: the one place that parses them."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Generic, Self, TypeVar

T = TypeVar("T")

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)([A-Za-z]*)")
_SIZE_UNITS: Final = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 1 << 10,
    "mib": 1 << 20,
    "gib": 1 << 30,
    "tib": 1 << 40,
}
_SECONDS: Final = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_FLAGS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


@dataclass(frozen=True, slots=True)
class OptionType(Generic[T]):
    """What the value of an option may be.

    Attributes:
        parse: Makes a value of its text; ValueError: the text is none.
        expected: What it may be, for messages: "a size such as 64MiB".
        is_secret: Its text is in no message.
        name: What it is called in a URL, where that is not the name of the argument that it
            becomes: a URL gives `ttl=7d` for `ttl_seconds`, because it brings the unit along.
    """

    parse: Callable[[str], T]
    expected: str
    is_secret: bool = False
    name: str | None = None

    def named(self, name: str) -> Self:
        """The same type, for an option that is called `name` in a URL."""
        return replace(self, name=name)


def choice(*names: str) -> OptionType[str]:
    """One of several words."""

    def parse(text: str) -> str:
        if text not in names:
            raise ValueError(text)
        return text

    return OptionType(parse, "one of " + ", ".join(names))


def _size_bytes(text: str) -> int:
    match = _QUANTITY.fullmatch(text)
    if match is None or match[2].lower() not in _SIZE_UNITS:
        raise ValueError(text)
    return round(float(match[1]) * _SIZE_UNITS[match[2].lower()])


def _seconds(text: str) -> float:
    match = _QUANTITY.fullmatch(text)
    if match is None or match[2] not in _SECONDS:
        raise ValueError(text)
    return float(match[1]) * _SECONDS[match[2]]


def _flag(text: str) -> bool:
    if text.lower() not in _FLAGS:
        raise ValueError(text)
    return _FLAGS[text.lower()]


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(text)
    return int(text)


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


SIZE_BYTES: Final = OptionType(_size_bytes, "a size such as 4096, 512KiB, 64MiB or 1GiB")
SECONDS: Final = OptionType(_seconds, "a time with its unit, such as 250ms, 10s, 5m, 12h or 7d")
FLAG: Final = OptionType(_flag, "true or false")
COUNT: Final = OptionType(_count, "a number such as 16")
NUMBER: Final = OptionType(_number, "a number such as 0.5")
TEXT: Final = OptionType(str, "text")
SECRET: Final = OptionType(str, "text", is_secret=True)
