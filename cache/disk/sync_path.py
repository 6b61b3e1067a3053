"""Puts a file, or the names in a folder, on the medium."""

import os


def sync_path(path: str | os.PathLike[str]) -> None:
    """Wait until the bytes of a file, or the names of a folder, survive power loss.

    Raises `OSError`.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
