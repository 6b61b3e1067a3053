"""Hashes contents again, a page at a time, while others read and write."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from torchstash.cache.blake3_hasher import hash_whole, hasher
from torchstash.cache.digest import Digest
from torchstash.cache.disk.affected_keys import affected_keys
from torchstash.cache.disk.blob_files import BlobFiles
from torchstash.cache.disk.catalogue import Catalogue
from torchstash.cache.disk.error_mapping import typed_errors
from torchstash.cache.disk.finding import Finding, FindingKind
from torchstash.cache.disk.packed_file import PackedFile

_ROWS_PER_PAGE = 256
_SLICE_BYTES = 4 << 20
_THREADS = min(4, os.cpu_count() or 1)
# Between a look-up and the reading of what it gave others may write. What is wrong twice, behind a
# row that stays, is damaged.
_READINGS_OF_DAMAGE = 2

_COLUMNS = "id, digest, size_bytes, packed_offset_bytes, data IS NULL, data"
_SINCE = """
    WITH RECURSIVE reached (id) AS (
        SELECT blob_id FROM entries WHERE written_unix_ns >= ?
        UNION
        SELECT links.child_id FROM links JOIN reached ON links.parent_id = reached.id
    )
    SELECT id FROM reached ORDER BY id
"""


class _Row(NamedTuple):
    blob_id: int
    digest: bytes
    size_bytes: int
    packed_offset_bytes: int | None
    is_elsewhere: bool
    data: bytes | None


class ContentsCheck:
    """Examines the contents of the store in `folder`."""

    def __init__(
        self, folder: Path, catalogue: Catalogue, files: BlobFiles, packed: PackedFile
    ) -> None:
        self._folder = folder
        self._catalogue = catalogue
        self._files = files
        self._packed = packed

    def run(
        self, since_unix_ns: int | None, on_progress: Callable[[int], None] | None = None
    ) -> Iterator[Finding]:
        """What is wrong, as it is found.

        Args:
            since_unix_ns: Only what names lead to that were written then or later. None: all.
            on_progress: Told how many bytes were hashed, after each page.

        Raises:
            BackendError: The store cannot be read; damage to contents is no error.
        """
        with ThreadPoolExecutor(_THREADS, "torchstash-check") as executor:
            for page in self._all() if since_unix_ns is None else self._since(since_unix_ns):
                # A small one is hashed before a thread has heard of it.
                wrong = {row: self._problem(row) for row in page if not _is_large(row)}
                large = [row for row in page if _is_large(row)]
                wrong.update(zip(large, executor.map(self._problem, large), strict=True))
                yield from self._findings({row: found for row, found in wrong.items() if found})
                if on_progress is not None:
                    on_progress(sum(row.size_bytes for row in page))

    def _all(self) -> Iterator[list[_Row]]:
        query = f"SELECT {_COLUMNS} FROM blobs WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608 - ours
        last = -1
        while True:
            with self._catalogue.reading() as connection:
                page = list(map(_Row._make, connection.execute(query, (last, _ROWS_PER_PAGE))))
            if not page:
                return
            yield page
            last = page[-1].blob_id

    def _since(self, since_unix_ns: int) -> Iterator[list[_Row]]:
        with self._catalogue.reading() as connection:
            ids = [blob_id for (blob_id,) in connection.execute(_SINCE, (since_unix_ns,))]
        query = f"SELECT {_COLUMNS} FROM blobs WHERE id = ?"  # noqa: S608 - ours
        for start in range(0, len(ids), _ROWS_PER_PAGE):
            page: list[_Row] = []
            with self._catalogue.reading() as connection:
                for blob_id in ids[start : start + _ROWS_PER_PAGE]:
                    page += map(_Row._make, connection.execute(query, (blob_id,)))
            yield page

    def _findings(self, wrong: dict[_Row, str]) -> Iterator[Finding]:
        if not wrong:
            return
        with self._catalogue.reading() as connection:
            keys = affected_keys(connection, [row.blob_id for row in wrong])
        for row, found in wrong.items():
            yield Finding(FindingKind.CONTENTS, found, keys.get(row.blob_id, ()), row.digest)

    def _problem(self, row: _Row) -> str | None:
        """What is wrong with the contents; None: nothing, or they are gone meanwhile."""
        readings = 0
        while True:
            with typed_errors(self._folder):
                found = self._read(row)
            if found is None:
                return None
            now = self._again(row.digest)
            if now is None:
                return None
            readings = readings + 1 if now == row else 0
            if readings == _READINGS_OF_DAMAGE:
                return found
            row = now

    def _again(self, digest: bytes) -> _Row | None:
        query = f"SELECT {_COLUMNS} FROM blobs WHERE digest = ?"  # noqa: S608 - ours
        with self._catalogue.reading() as connection:
            row = connection.execute(query, (digest,)).fetchone()
        return None if row is None else _Row._make(row)

    def _read(self, row: _Row) -> str | None:
        """Hash the contents once; what is wrong."""
        if not _is_sound(row):
            return "the catalogue does not say what they are"
        if row.data is not None:
            return _mismatch(row, row.data)
        try:
            if row.packed_offset_bytes is not None:
                return _mismatch(row, self._packed.read(row.packed_offset_bytes, row.size_bytes))
            return self._read_file(row)
        except FileNotFoundError:
            return "the file that should have its bytes is gone"
        except OSError as error:
            return f"its bytes cannot be read ({error})"

    def _read_file(self, row: _Row) -> str | None:
        descriptor = os.open(self._files.path(row.digest), os.O_RDONLY | os.O_CLOEXEC)
        try:
            size_bytes = os.fstat(descriptor).st_size
            if size_bytes != row.size_bytes:
                return f"its file has {size_bytes} of {row.size_bytes} bytes"
            state = hasher(size_bytes)
            buffer = memoryview(bytearray(min(size_bytes, _SLICE_BYTES)))
            while count := os.readv(descriptor, [buffer]):
                state.update(buffer[:count])
        finally:
            os.close(descriptor)
        found = state.digest()
        return None if found == row.digest else f"its bytes hash to {found.hex()}"


def _is_sound(row: tuple[object, ...]) -> bool:
    """Whether a row of a catalogue that may be damaged is of the types that it should be."""
    _, digest, size_bytes, packed_offset_bytes, _, data = row
    return (
        isinstance(digest, bytes)
        and len(digest) == Digest.SIZE_BYTES
        and isinstance(size_bytes, int)
        and size_bytes >= 0
        and isinstance(packed_offset_bytes, int | None)
        and isinstance(data, bytes | None)
    )


def _is_large(row: _Row) -> bool:
    return row.is_elsewhere and row.packed_offset_bytes is None


def _mismatch(row: _Row, data: bytes) -> str | None:
    if len(data) != row.size_bytes:
        return f"{len(data)} of its {row.size_bytes} bytes are left"
    found = hash_whole(data)
    return None if found == row.digest else f"its bytes hash to {found.hex()}"
