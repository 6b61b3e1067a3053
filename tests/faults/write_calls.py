"""The system calls that change files, by their numbers."""

import os
import platform

_X86 = {
    1: "write",
    18: "pwrite64",
    20: "writev",
    296: "pwritev",
    328: "pwritev2",
    74: "fsync",
    75: "fdatasync",
    77: "ftruncate",
    285: "fallocate",
    82: "rename",
    264: "renameat",
    316: "renameat2",
    87: "unlink",
    263: "unlinkat",
    83: "mkdir",
    258: "mkdirat",
    86: "link",
    265: "linkat",
    2: "open",
    257: "openat",
    90: "chmod",
    91: "fchmod",
    93: "fchown",
}
_ARM = {
    64: "write",
    68: "pwrite64",
    66: "writev",
    70: "pwritev",
    287: "pwritev2",
    82: "fsync",
    83: "fdatasync",
    46: "ftruncate",
    47: "fallocate",
    38: "renameat",
    276: "renameat2",
    35: "unlinkat",
    34: "mkdirat",
    37: "linkat",
    56: "openat",
    52: "fchmod",
    53: "fchmodat",
    55: "fchown",
}
_NAMES = _X86 if platform.machine() == "x86_64" else _ARM
# Which argument has the flags of those that may create a file.
_FLAGS = {"open": 1, "openat": 2}
# Those that take a count of bytes as their third argument.
COUNTED = frozenset({"write", "pwrite64"})


def flags_argument(name: str) -> int | None:
    """Which argument of this call says whether it creates; None: it is no opening."""
    return _FLAGS.get(name)


def call_name(number: int) -> str | None:
    """The name of a call that may change files; None for any other."""
    return _NAMES.get(number)


def creates(flags: int) -> bool:
    """Whether a file may be made, or emptied, by an opening with these flags."""
    return bool(flags & (os.O_CREAT | os.O_TRUNC))
