import pytest

from torchstash.cache.opening import OptionType, option_types
from torchstash.cache.opening.option_types import choice


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (option_types.SIZE_BYTES, "0", 0),
        (option_types.SIZE_BYTES, "4096", 4096),
        (option_types.SIZE_BYTES, "1KiB", 1024),
        (option_types.SIZE_BYTES, "1.5GiB", 3 << 29),
        (option_types.SIZE_BYTES, "2MB", 2_000_000),
        (option_types.SIZE_BYTES, "1tib", 1 << 40),
        (option_types.SECONDS, "250ms", 0.25),
        (option_types.SECONDS, "1.5s", 1.5),
        (option_types.SECONDS, "2m", 120.0),
        (option_types.SECONDS, "12h", 43200.0),
        (option_types.SECONDS, "7d", 604800.0),
        (option_types.FLAG, "true", True),
        (option_types.FLAG, "No", False),
        (option_types.COUNT, "16", 16),
        (option_types.NUMBER, "-0.5", -0.5),
        (option_types.TEXT, "", ""),
        (choice("raw", "zstd"), "zstd", "zstd"),
    ],
)
def test_values(kind: OptionType[object], text: str, value: object) -> None:
    found = kind.parse(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (option_types.SIZE_BYTES, ""),
        (option_types.SIZE_BYTES, "-1"),
        (option_types.SIZE_BYTES, "1 GiB"),
        (option_types.SIZE_BYTES, "1GX"),
        (option_types.SIZE_BYTES, "1e9"),
        (option_types.SIZE_BYTES, "\u0661"),
        (option_types.SECONDS, "10"),
        (option_types.SECONDS, "10S"),
        (option_types.SECONDS, "-1s"),
        (option_types.SECONDS, "s"),
        (option_types.FLAG, "maybe"),
        (option_types.COUNT, "1.5"),
        (option_types.COUNT, "\u0661"),
        (option_types.NUMBER, "nan"),
        (option_types.NUMBER, "inf"),
        (choice("raw", "zstd"), "gzip"),
    ],
)
def test_what_is_none(kind: OptionType[object], text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the text is the caller's to say
        kind.parse(text)
