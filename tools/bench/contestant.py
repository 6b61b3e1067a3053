"""Who takes part in a benchmark, and what of theirs is timed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Work = TypeVar("Work")


def _nothing() -> None:
    pass


def _accept(_: object) -> None:
    pass


@dataclass(frozen=True)
class Trial:
    """One contestant made ready for one case."""

    # What is timed.
    call: Callable[[], object]
    # Raises WrongResultError for a result of `call` that is not the right one.
    check: Callable[[object], None] = _accept
    # Waits for what `call` left running on an accelerator.
    synchronize: Callable[[], None] = _nothing
    # Gives back what the preparation took.
    close: Callable[[], None] = _nothing
    # Makes anew what `call` uses up, untimed, before each call. A sample is one call then.
    set_up: Callable[[], None] | None = None


@dataclass(frozen=True)
class Contestant(Generic[Work]):
    """One way to do the work of a benchmark: a row of the report."""

    name: str
    # By PyTorch's name: "cpu", "cuda".
    device: str
    # Loads, compiles and allocates, untimed. Raises UnavailableError where something is missing.
    prepare: Callable[[Work], Trial]
    # A limit of the machine, not a competitor.
    is_ceiling: bool = False
