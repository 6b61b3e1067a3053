"""How far a transfer is, and what it did."""

import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a transfer is.

    Attributes:
        names: Names that are done: published, or found as they should be.
        names_total: All names that were asked for.
        moved_bytes: Bytes of contents that were moved.
        missing_bytes: Bytes known to be missing at the other side so far, moved ones included.
            It grows while names are looked at.
    """

    names: int
    names_total: int
    moved_bytes: int
    missing_bytes: int


ProgressCallback = Callable[[Progress], None]
"""Called by one thread at a time, often; what it raises ends the transfer."""


@dataclass(frozen=True, slots=True)
class MovementReport:
    """What a transfer did.

    Attributes:
        names_published: Names that are new at the other side, or name something else now.
        names_unchanged: Names that were there, with all that they lead to.
        contents_moved: Contents of which something was missing at the other side.
        moved_bytes: Bytes that were moved.
        present_bytes: Bytes that the other side had already.
    """

    names_published: int
    names_unchanged: int
    contents_moved: int
    moved_bytes: int
    present_bytes: int


class Tally:
    """Counts while threads move. Thread-safe."""

    def __init__(self, names_total: int, callback: ProgressCallback | None) -> None:
        self._names_total = names_total
        self._callback = callback
        self._lock = threading.Lock()
        self._published = self._unchanged = 0
        self._moved_bytes = self._missing_bytes = self._present_bytes = 0
        self._contents: set[object] = set()

    def missing(self, size_bytes: int) -> None:
        """So many bytes more have to be moved."""
        with self._lock:
            self._missing_bytes += size_bytes
        self._tell()

    def present(self, size_bytes: int) -> None:
        """So many bytes more were there already."""
        with self._lock:
            self._present_bytes += size_bytes

    def moved(self, contents: object, size_bytes: int) -> None:
        """Bytes of these contents were moved."""
        with self._lock:
            self._contents.add(contents)
            self._moved_bytes += size_bytes
        self._tell()

    def named(self, *, published: int = 0, unchanged: int = 0) -> None:
        """So many names more are done."""
        with self._lock:
            self._published += published
            self._unchanged += unchanged
        self._tell()

    def report(self) -> MovementReport:
        """What was counted."""
        with self._lock:
            return MovementReport(
                self._published,
                self._unchanged,
                len(self._contents),
                self._moved_bytes,
                self._present_bytes,
            )

    def _tell(self) -> None:
        if self._callback is None:
            return
        with self._lock:
            self._callback(
                Progress(
                    self._published + self._unchanged,
                    self._names_total,
                    self._moved_bytes,
                    self._missing_bytes,
                )
            )
