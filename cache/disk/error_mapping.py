"""Errors of SQLite and of the operating system, as this layer's typed errors."""

import errno
import os
import sqlite3
from pathlib import Path

from torchstash.cache.errors import (
    BackendBusyError,
    BackendCorruptError,
    BackendError,
    BackendFullError,
    BackendMissingError,
    BackendReadOnlyError,
    CacheError,
)

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


def backend_error(place: Path, error: sqlite3.Error | OSError) -> BackendError:
    """The typed error that says what `error` means for the store at `place`."""
    if isinstance(error, OSError):
        return _from_os(place, error)
    return _from_sqlite(place, error)


class typed_errors:  # noqa: N801 - used like a function
    """Raise errors of SQLite and of the operating system as typed errors of `place`.

    A class, not a generator: it surrounds every write of a small value.
    """

    __slots__ = ("_place",)

    def __init__(self, place: Path) -> None:
        self._place = place

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, (sqlite3.Error, OSError)) and not isinstance(error, CacheError):
            raise backend_error(self._place, error) from error


def _from_os(place: Path, error: OSError) -> BackendError:
    if error.errno in _FULL:
        return BackendFullError(
            f"no space is left for the store at {place} ({error}); "
            "what it held is intact: free some space and put again"
        )
    if error.errno in _READ_ONLY:
        return BackendReadOnlyError(
            f"the store at {place} may not be written or read by this user ({error}); "
            "check who owns it, or open it with open_read_only"
        )
    if error.errno == errno.ENOENT:
        return BackendMissingError(
            f"a part of the store at {place} is gone ({error}); "
            "was it moved or deleted while it was in use?"
        )
    return BackendError(f"the store at {place} cannot be used: {error}")


def _from_sqlite(place: Path, error: sqlite3.Error) -> BackendError:
    name = getattr(error, "sqlite_errorname", "") or ""
    found = f"{error} ({name})" if name else str(error)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL")):
        return BackendBusyError(
            f"other processes held the store at {place} for too long ({found}); try again"
        )
    if name.startswith("SQLITE_FULL") or name == "SQLITE_IOERR_SHMSIZE":
        return BackendFullError(
            f"no space is left for the catalogue of the store at {place} ({found}); "
            "what it held is intact: free some space and put again"
        )
    if name.startswith("SQLITE_CANTOPEN") and not place.exists():
        return BackendMissingError(
            f"the store at {place} is gone ({found}); was it moved or deleted while it was in use?"
        )
    if name.startswith(("SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH")) or (
        name.startswith("SQLITE_CANTOPEN") and not os.access(place, os.W_OK)
    ):
        return BackendReadOnlyError(
            f"the catalogue of the store at {place} cannot be written ({found}); "
            "check who owns it, or open it with open_read_only"
        )
    # Our statements name what every catalogue has.
    lacks = name == "SQLITE_ERROR" and ("no such " in str(error) or "no column " in str(error))
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or lacks:
        return damaged_catalogue(place, found)
    return BackendError(f"the catalogue of the store at {place} cannot be used: {found}")


def damaged_catalogue(place: Path, found: str) -> BackendCorruptError:
    """The error that says so."""
    return BackendCorruptError(
        f"the catalogue of the store at {place} is damaged or is no SQLite database "
        f"({found}); nothing was deleted: restore it from a copy, or make a new one from what "
        "can be read of it (torchstash repair --salvage)"
    )
