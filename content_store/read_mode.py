"""How the bytes of large storages get into memory."""

from enum import StrEnum


class ReadMode(StrEnum):
    """Whether a storage that has a file of its own is mapped into memory or copied.

    To any other device than the CPU it is copied, slice by slice, through pinned memory.
    """

    # Mapped from a local disk; copied from a network file system, where each page that is
    # touched first is a round trip, and a server that goes away ends the process.
    AUTO = "auto"
    # Copy-on-write: nothing is read before it is touched, and unchanged pages are shared with
    # every other process that maps them.
    MAPPED = "mapped"
    # Read in full into memory of its own, in few large requests.
    COPIED = "copied"
