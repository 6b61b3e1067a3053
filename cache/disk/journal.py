"""Which files a writer may leave over if it dies: told before they can be.

A file without a row comes about in two ways: a writer dies after it published the file and before
it committed, or after it committed that nothing leads to the contents and before it removed the
file. So a writer first notes the digests, in a file of its own below `tmp` that it removes when it
is done. A collection then looks at what these files name, and at nothing else: its cost grows with
the garbage, not with the store.

Notes are written while the catalogue's write lock is held. They are not synced: after power loss
an audit of all files finds what notes do not tell.
"""

import os
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

_NAME = re.compile(r"[0-9a-f]{32}\.journal")
_DIGEST = re.compile(rb"[0-9a-f]{64}")


class Journal:
    """The notes of one commit, most of which note nothing. Raises `OSError`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path: str | None = None

    def note_dropped(self, digests: Sequence[bytes]) -> None:
        """`note`, if possible: whoever makes room on a full disk must not fail over notes."""
        if digests:
            with suppress(OSError):
                self.note(digests)

    def note(self, digests: Iterable[bytes]) -> None:
        """Files of these contents may be left over from now on."""
        lines = b"".join(digest.hex().encode() + b"\n" for digest in digests)
        path = self._path or str(self._folder / "tmp" / f"{uuid.uuid4().hex}.journal")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._path = path
        try:
            while lines:
                lines = lines[os.write(descriptor, lines) :]
        finally:
            os.close(descriptor)

    def discard(self) -> None:
        """Nothing is left over. A collection gets the notes where removing them fails."""
        if self._path is not None:
            with suppress(OSError):
                os.unlink(self._path)  # noqa: PTH108 - no Path per commit
            self._path = None


def journals(folder: Path) -> Iterator[Path]:
    """The notes of writers alive or dead."""
    for entry in (folder / "tmp").iterdir():
        if _NAME.fullmatch(entry.name):
            yield entry


def noted_digests(path: Path) -> list[bytes]:
    """What one file of notes names; a line that a dying writer did not finish names nothing."""
    lines = path.read_bytes().split(b"\n")
    return [bytes.fromhex(line.decode()) for line in lines if _DIGEST.fullmatch(line)]
