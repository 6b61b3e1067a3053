"""Why a benchmark, or a part of it, cannot be run.

BenchError
├── UnavailableError      a contestant or an output lacks what it needs; the rest goes on
├── WrongResultError      a contestant did not do its work, so its time means nothing
└── UsageError            the user asked for something that is not there
"""


class BenchError(Exception):
    """What was asked cannot be measured; the message says why."""


class UnavailableError(BenchError):
    """Something that only this contestant or output needs is missing."""


class WrongResultError(BenchError):
    """A contestant's result is not the right one."""


class UsageError(BenchError):
    """What the command line asked for does not exist here."""
