"""How SQLite keeps a catalogue whole while it is written.

On a local disk by a log beside it (write-ahead logging): readers and a writer do not wait for each
other. They share memory for that, which machines cannot; so on a network file system it is the
rollback journal, the only mode that SQLite calls safe there ("Write-Ahead Logging", section 1),
as far as the file system keeps the locks that it grants. A store that once was on a network stays
in that mode, wherever it is opened: other machines may still be using it.
"""

import sqlite3
import time
from pathlib import Path
from typing import Final

from torchstash.cache.errors import BackendBusyError, BackendError

_LOG: Final = "wal"
_ROLLBACK: Final = "delete"

_PATIENCE_SECONDS: Final = 60.0
_RETRY_SECONDS: Final = 0.01


def choose_journal_mode(connection: sqlite3.Connection, folder: Path, *, on_network: bool) -> None:
    """Put a new catalogue into the mode for its medium.

    Raises:
        BackendError: The medium can do neither.
    """
    if on_network:
        _switch(connection, folder, _ROLLBACK)
    elif (mode := _switch(connection, folder, _LOG)) != _LOG:
        raise BackendError(
            f"the file system of {folder} cannot share memory between processes, which "
            f"the catalogue needs (journal mode {mode!r}); use a local file system"
        )


def require_safe_journal_mode(
    connection: sqlite3.Connection, folder: Path, *, read_only: bool
) -> None:
    """See to it that a catalogue on a network is in the mode for one, or refuse to use it.

    Raises:
        BackendError: It is not, and a reader may not change it.
        BackendBusyError: Others use it all the time.
    """
    mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
    if mode != _LOG:
        return
    if read_only:
        raise BackendError(
            f"the store at {folder} lies on a network file system, but its catalogue is in the "
            "mode for local disks, which is not safe there; open it once for writing on this "
            "machine, which changes the mode, or read it on the machine whose disk it is"
        )
    if _switch(connection, folder, _ROLLBACK) == _LOG:
        raise BackendBusyError(
            f"the store at {folder} lies on a network file system, and others use it in the mode "
            "for local disks; close it everywhere and try again"
        )


def _switch(connection: sqlite3.Connection, folder: Path, mode: str) -> str:
    """Ask for a mode until it can be; the mode that there is now."""
    # SQLite does not wait for others here, so we do.
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return str(connection.execute(f"PRAGMA journal_mode = {mode}").fetchone()[0])
        except sqlite3.OperationalError as error:
            if time.monotonic() > deadline:
                raise BackendBusyError(
                    f"other processes held the store at {folder} for too long ({error}); try again"
                ) from error
            time.sleep(_RETRY_SECONDS)
