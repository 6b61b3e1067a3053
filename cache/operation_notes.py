"""What the parts of a backend say of the operation that runs, for its sample.

A backend returns a value or None. What else there is to tell (that None stands for a fault, which
tier answered, that a breaker is open) it notes here: `current_notes()` of `observation.py` gives
the notes of the sampled operation that runs in this context, or None where nothing is sampled.
Nothing may depend on notes: faults travel between backends as exceptions, and the one that turns
them into a miss notes them.
"""

from torchstash.cache.errors import BackendSkippedError, CorruptEntryError
from torchstash.proto.cache.v1.cache_sample_pb2 import (
    OUTCOME_FAILED,
    OUTCOME_REJECTED,
    OUTCOME_SKIPPED,
    OUTCOME_TIMED_OUT,
    Outcome,
)


class OperationNotes:
    """Notes of one operation. The later of two notes of one kind stays.

    Attributes:
        outcome: Why there is no value, or why it was not put: counts only where a get ends with
            None, or a put ends. None: there is nothing to explain.
        reason: The same, for people.
        tier_name: Which tier answered.
        engine_name: The engine that answered.
        stored_size_bytes: The size of the value as the engine keeps it.
        attributes: `CacheSample.attributes`.
    """

    __slots__ = (
        "attributes",
        "engine_name",
        "outcome",
        "reason",
        "stored_size_bytes",
        "tier_name",
    )

    def __init__(self) -> None:
        self.outcome: Outcome | None = None
        self.reason = ""
        self.tier_name = ""
        self.engine_name = ""
        self.stored_size_bytes: int | None = None
        self.attributes: dict[str, str] = {}

    def fault(self, outcome: Outcome, reason: str) -> None:
        """There is no value, or it was not put, because of this."""
        self.outcome = outcome
        self.reason = reason

    def fault_of(self, error: BaseException) -> None:
        """The same, of an exception that was caught."""
        self.fault(outcome_of(error), str(error) or type(error).__name__)

    def clear_fault(self) -> None:
        """It did not matter: another part of the backend answers."""
        self.outcome = None
        self.reason = ""


def outcome_of(error: BaseException) -> Outcome:
    """How an operation ended that this exception ended."""
    if isinstance(error, CorruptEntryError):
        return OUTCOME_REJECTED
    if isinstance(error, TimeoutError):
        return OUTCOME_TIMED_OUT
    if isinstance(error, BackendSkippedError):
        return OUTCOME_SKIPPED
    return OUTCOME_FAILED
