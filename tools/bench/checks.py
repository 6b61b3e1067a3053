"""What makes a result right."""

from collections.abc import Callable

from torchstash.tools.bench.errors import WrongResultError


def equal_to(expected: object) -> Callable[[object], None]:
    """A check that refuses everything else."""

    def check(result: object) -> None:
        if result != expected:
            raise WrongResultError(f"gave {result!r:.80}, and the right result is {expected!r:.80}")

    return check
