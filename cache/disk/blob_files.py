"""Files of a store: one immutable file per large content, named by its digest.

    blobs/ab/abcd...   contents whose digest begins with ab, read-only
    tmp/               files that are still being written

A file is written under `tmp`, on the same file system, and renamed into place when it is whole.
Renaming and removing happen only while the caller holds the catalogue's write lock.
"""

import os
import re
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from torchstash.cache.disk.sync_path import sync_path

_FILE_NAME = re.compile(r"[0-9a-f]{64}")
_FAN_OUT_NAME = re.compile(r"[0-9a-f]{2}")
_TEMPORARY_NAME = re.compile(r"(?:[0-9a-f]{32}|[0-9a-f]{64})\.part")
_UNPUBLISHED_NAME = re.compile(
    r"(?:[0-9a-f]{32}|[0-9a-f]{64})\.part|[0-9a-f]{32}\.journal|unsettled|salvage"
)
_STORE_NAME = re.compile(r"(catalogue|leases)\.sqlite3(-wal|-shm|-journal)?|packed\.bin|blobs|tmp")


class BlobFiles:
    """The files below one store's folder.

    With `durable` every file is on the medium before it is published, and `sync_folders` puts its
    name there. Raises `OSError`.
    """

    def __init__(self, folder: Path, *, durable: bool) -> None:
        self._blobs = str(folder / "blobs")
        self._temporaries = str(folder / "tmp")
        self._durable = durable

    def create_folders(self) -> None:
        """Make what is missing, private to the user."""
        Path(self._blobs).mkdir(mode=0o700, exist_ok=True)
        Path(self._temporaries).mkdir(mode=0o700, exist_ok=True)

    def path(self, digest: bytes) -> str:
        """Where the contents of `digest` lie, if they lie in a file."""
        name = digest.hex()
        return f"{self._blobs}/{name[:2]}/{name}"

    def size_bytes(self, digest: bytes) -> int | None:
        """The size of the file, or None where there is none."""
        try:
            return os.stat(self.path(digest)).st_size  # noqa: PTH116 - no Path per stored value
        except FileNotFoundError:
            return None

    def write_temporary(self, slices: Iterable[memoryview]) -> str:
        """Write a new file in full; its path. On an error nothing is left of it."""
        path = f"{self._temporaries}/{uuid.uuid4().hex}.part"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400)
        try:
            try:
                for data in slices:
                    rest = data
                    while rest:
                        rest = rest[os.write(descriptor, rest) :]
                if self._durable:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except BaseException:
            self.discard_temporary(path)
            raise
        return path

    def partial_path(self, digest: bytes) -> str:
        """Where contents can be gathered over several lives of their writer."""
        return f"{self._temporaries}/{digest.hex()}.part"

    def discard_temporary(self, path: str) -> None:
        """Remove a file that was not published. A sweep gets it where this fails."""
        with suppress(OSError):
            os.unlink(path)  # noqa: PTH108 - no Path per stored value

    def publish(self, temporary: str, digest: bytes) -> None:
        """Give a temporary file its name, in place of any file that has it."""
        path = self.path(digest)
        try:
            os.rename(temporary, path)  # noqa: PTH104 - no Path per stored value
        except FileNotFoundError:
            Path(path).parent.mkdir(mode=0o700, exist_ok=True)
            os.rename(temporary, path)  # noqa: PTH104 - no Path per stored value

    def sync_file(self, digest: bytes) -> None:
        """Put a file on the medium that a writer published without doing so."""
        sync_path(self.path(digest))

    def sync_folders(self, digests: Iterable[bytes]) -> None:
        """Put the names of these files on the medium."""
        folders = {os.path.dirname(self.path(digest)) for digest in digests}  # noqa: PTH120
        for folder in sorted(folders):
            sync_path(folder)
        if folders:
            sync_path(self._blobs)

    def remove(self, digest: bytes) -> int:
        """Remove the file if there is one; its size in bytes."""
        size_bytes = self.size_bytes(digest)
        if size_bytes is None:
            return 0
        with suppress(FileNotFoundError):
            os.unlink(self.path(digest))  # noqa: PTH108 - no Path per stored value
        return size_bytes

    def digests_by_folder(self) -> Iterator[list[bytes]]:
        """The digests that have files, one list per fan-out folder."""
        for folder in sorted(Path(self._blobs).iterdir()):
            if _FAN_OUT_NAME.fullmatch(folder.name) and folder.is_dir():
                names = [entry.name for entry in folder.iterdir()]
                yield [bytes.fromhex(name) for name in names if _FILE_NAME.fullmatch(name)]

    def foreign(self) -> Iterator[Path]:
        """What lies in the store's folder and is none of its files."""
        folder = Path(self._blobs).parent
        yield from _others(folder, _STORE_NAME)
        yield from _others(folder / "tmp", _UNPUBLISHED_NAME)
        for fan_out in _others(folder / "blobs", _FAN_OUT_NAME, matching=True):
            yield from _others(fan_out, _FILE_NAME)
        yield from _others(folder / "blobs", _FAN_OUT_NAME)

    def temporaries(self) -> Iterator[Path]:
        """Files that were not published, of writers alive or dead."""
        for entry in Path(self._temporaries).iterdir():
            if _TEMPORARY_NAME.fullmatch(entry.name):
                yield entry


def _others(folder: Path, known: re.Pattern[str], *, matching: bool = False) -> Iterator[Path]:
    """What a folder has that is named otherwise, or, with `matching`, so."""
    with suppress(FileNotFoundError, NotADirectoryError):
        for entry in sorted(folder.iterdir()):
            if (known.fullmatch(entry.name) is not None) == matching:
                yield entry
