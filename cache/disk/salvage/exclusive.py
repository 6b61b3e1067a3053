"""Keeps everybody from a catalogue, if nobody has it open.

SQLite locks bytes of the file far behind its end (sqlite.org/lockingv3.html): who has a store open
on a local disk holds a lock there all the time, and on a network while reading or writing. The
locks here are of the open file where there are such (`F_OFD_SETLK`, on Linux), so that stores that
this process has open count too.
"""

import fcntl
import os
import struct
from pathlib import Path

from torchstash.cache.errors import BackendBusyError

_FIRST_BYTE = 0x40000000
_BYTES = 512
# `struct flock` of Linux on 64 bits.
_FLOCK = "hhqqixxxx"


def lock_out_others(path: Path, folder: Path) -> int:
    """A descriptor of the file at `path`; while it is open nobody else can use the file.

    Raises:
        BackendBusyError: Somebody does.
        OSError: It cannot be opened.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        if hasattr(fcntl, "F_OFD_SETLK"):
            lock = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, _FIRST_BYTE, _BYTES, 0)
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, lock)
        else:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, _BYTES, _FIRST_BYTE)
    except (BlockingIOError, PermissionError) as error:
        # The descriptor stays open: closing it would free the locks that this process may have.
        raise BackendBusyError(
            f"the store at {folder} is in use; end the programs that use it and try again"
        ) from error
    return descriptor
