"""Which process it was that did something, so that others can see that it is gone.

A process number alone says little: it is used again, and means something else in every container
and on every machine. With the boot, the PID namespace and the moment at which the process
started (proc(5)) it means one process for ever. Where the system does not tell these, nobody is
taken for gone.
"""

import os
from pathlib import Path
from typing import Final

UNKNOWN: Final = "unknown"

_PROC: Final = Path("/proc")
# Of /proc/<pid>/stat, behind the name of the program: the state, and field 22.
_STATE, _START_TIME = 0, 19
_ENDED: Final = ("Z", "X")


def own_identity() -> str:
    """That of this process: letters, digits, dots and dashes."""
    place, started = _place(), _start_time(os.getpid())
    return UNKNOWN if place is None or not started else f"{place}-{os.getpid()}-{started}"


def is_gone(identity: str) -> bool:
    """Whether the process with that identity has ended, as far as this process can tell.

    False where it ran elsewhere, or before this boot: a clock has to decide.
    """
    started, found = _start_times(identity)
    return found is not None and found != started


def is_running(identity: str) -> bool:
    """Whether the process with that identity runs on this machine, as far as this one can tell."""
    started, found = _start_times(identity)
    return started != "" and found == started


def _start_times(identity: str) -> tuple[str, str | None]:
    """When the process started, and when the one that has its number here now; None: unknown."""
    place, _, rest = identity.partition("-")
    number, _, started = rest.partition("-")
    if not number.isdecimal() or place != _place():
        return started, None
    return started, _start_time(int(number))


def _place() -> str | None:
    """Where process numbers mean what they mean here; None: the system does not tell."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip().replace("-", "")
        namespace = (_PROC / "self/ns/pid").readlink().name
    except OSError:
        return None
    return f"{boot}.{''.join(filter(str.isdecimal, namespace))}"


def _start_time(pid: int) -> str | None:
    """When the process started, in ticks since the boot; "" for none, None where nobody tells."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return "" if fields[_STATE] in _ENDED else fields[_START_TIME]
    except (OSError, IndexError):
        # No such process, or one that this user may not see.
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return ""
        except OSError:
            return None
        return None
