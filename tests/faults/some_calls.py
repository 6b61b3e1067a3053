"""Which system calls of a writer a test disturbs: all of them, with enough effort."""

import random
from collections.abc import Iterator

from torchstash.tests.faults.effort import effort
from torchstash.tests.faults.tracer import Call


def some(calls: list[Call], usual: int) -> Iterator[Call]:
    """Each `n`-th of the calls, beginning anywhere: `usual` of them, or more with more effort."""
    stride = max(1, len(calls) // effort(usual))
    first = random.randrange(stride)
    chosen = calls[first::stride]
    print(f"{len(chosen)} rounds: every {stride} of {len(calls)} calls from {first}")  # noqa: T201 - to run it again
    yield from chosen
