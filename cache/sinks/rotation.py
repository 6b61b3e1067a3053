"""Files of samples that take turns: `path`, then `path.1`, `path.2`, ..., the oldest last.

Any number of processes write to `path`. The one that finds it full renames it, under a lock of
the operating system, which a killed process gives back; the others find their file full too, and
that `path` is another one by then. A process that is killed between two renames leaves a gap in
the numbers, which nobody minds.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def rotate(path: Path, descriptor: int, max_files: int) -> None:
    """Make room for a new file at `path`, unless it is another one than `descriptor` already.

    Args:
        path: Of the newest file.
        descriptor: Of the file that is full.
        max_files: How many to keep, the new one included. What is older goes.
    """
    with _locked(path):
        if not is_current(path, descriptor):
            return
        with suppress(FileNotFoundError):
            rotated_path(path, max_files - 1).unlink()
        for number in range(max_files - 2, -1, -1):
            with suppress(FileNotFoundError):
                rotated_path(path, number).rename(rotated_path(path, number + 1))


def is_current(path: Path, descriptor: int) -> bool:
    """Whether the file at `path` is the one that is open."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def rotated_path(path: Path, number: int) -> Path:
    """Where the file lies that was full so many files ago; 0: the newest."""
    return path if number == 0 else path.with_name(f"{path.name}.{number}")


def files_oldest_first(path: Path) -> list[Path]:
    """The files that take turns, those that exist."""
    numbers = [0] if path.exists() else []
    for entry in path.parent.glob("*"):
        stem, _, number = entry.name.rpartition(".")
        if stem == path.name and number.isascii() and number.isdigit():
            numbers.append(int(number))
    return [rotated_path(path, number) for number in sorted(numbers, reverse=True)]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    descriptor = os.open(path.with_name(f"{path.name}.lock"), flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
