"""Commits that failed and could not be written over: told to whoever writes next.

When SQLite cannot sync its log a commit fails, and stands in the log all the same: if every
process then dies, the next one recovers it. So the engine at once commits something else in its
place. Where that fails too, the write may yet come about, and must then be whole: nobody may use
bytes that it wrote, which the catalogue calls free, or remove its files, before something was
written over it.

Each such commit leaves a file under `tmp/unsettled`; a write transaction begins with writing over
what they tell of. Where not even that file can be made the process that failed knows, and no other.
"""

import os
import sqlite3
import uuid
from contextlib import suppress
from pathlib import Path

FOLDER_NAME = "unsettled"


class Unsettled:
    """What of the log of the store in `folder` may not stay as it is. Safe for threads."""

    def __init__(self, folder: Path) -> None:
        self._path = str(folder / "tmp" / FOLDER_NAME)
        # Commits of this process.
        self._here = 0

    def note(self) -> None:
        """A commit failed. Never raises."""
        self._here += 1
        with suppress(OSError):
            with suppress(FileExistsError):
                os.mkdir(self._path, 0o700)  # noqa: PTH102 - one style in this file
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            os.close(os.open(f"{self._path}/{uuid.uuid4().hex}", flags, 0o600))

    def is_any(self) -> bool:
        """Whether there is something to write over. Cheap: asked in each write transaction."""
        return self._here > 0 or os.access(self._path, os.F_OK)

    def settle(self, connection: sqlite3.Connection) -> None:
        """Write over it, in a transaction that the caller has begun, and that ends here.

        Raises:
            sqlite3.Error: It could not be.
        """
        # Whatever is noted now failed before this transaction began.
        here = self._here
        noted: list[str] = []
        with suppress(FileNotFoundError):
            noted = os.listdir(self._path)  # noqa: PTH208 - one style in this file
        connection.execute("UPDATE totals SET tick = tick + 1")
        connection.execute("COMMIT")
        self._here -= here
        self._forget(noted)

    def _forget(self, noted: list[str]) -> None:
        with suppress(OSError):
            for name in noted:
                with suppress(FileNotFoundError):
                    os.unlink(f"{self._path}/{name}")  # noqa: PTH108 - one style in this file
            # Not where others have noted something since.
            os.rmdir(self._path)  # noqa: PTH106 - one style in this file
