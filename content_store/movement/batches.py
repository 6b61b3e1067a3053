"""Sequences in runs of limited length."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def batched(items: Sequence[T], count: int) -> Iterator[Sequence[T]]:
    """Runs of up to `count` items, in order."""
    for start in range(0, len(items), count):
        yield items[start : start + count]
