"""The SQLite catalogue of a store: opening it, looking things up, write transactions.

Order of opening: make the file, private to the user; check whose it is; choose how it is kept
whole; make the tables. Any number of processes may do so at once.
"""

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from torchstash.cache.disk import schema
from torchstash.cache.disk.connection_pool import ConnectionPool
from torchstash.cache.disk.error_mapping import backend_error, damaged_catalogue, typed_errors
from torchstash.cache.disk.journal_mode import choose_journal_mode, require_safe_journal_mode
from torchstash.cache.disk.select_many import select_many
from torchstash.cache.disk.sync_path import sync_path
from torchstash.cache.disk.transaction import Transaction
from torchstash.cache.disk.unsettled import Unsettled
from torchstash.cache.errors import (
    BackendBusyError,
    BackendMissingError,
    BackendReadOnlyError,
)

FILE_NAME = "catalogue.sqlite3"

_BUSY_SECONDS = 60.0
_PAGE_CACHE_KIB = 8192
_CHECKPOINT_PAGES = 2000
_LOG_LIMIT_BYTES = 64 << 20
_KEYS_PER_PAGE = 512

_COLUMNS = "b.digest, b.size_bytes, b.data, b.id, b.packed_offset_bytes, b.is_synced, b.is_damaged"
_ENTRY_COLUMNS = f"{_COLUMNS}, e.note, e.crc32"
_BLOB_COLUMNS = f"{_COLUMNS}, NULL, NULL"
_FROM_ENTRIES = "FROM entries e JOIN blobs b ON b.id = e.blob_id WHERE e.key"
_FROM_BLOBS = "FROM blobs b WHERE b.digest"
_FROM_LINKED = (
    "FROM blobs p JOIN links l ON l.parent_id = p.id JOIN blobs b ON b.id = l.child_id "
    "WHERE p.digest"
)
_LOOKUP = f"SELECT {_ENTRY_COLUMNS} {_FROM_ENTRIES} = ?"
_LOOKUP_MANY = f"SELECT e.key, {_ENTRY_COLUMNS} {_FROM_ENTRIES} IN"
_LOOKUP_DIGEST = f"SELECT {_BLOB_COLUMNS} {_FROM_BLOBS} = ?"
_LOOKUP_DIGESTS = f"SELECT b.digest, {_BLOB_COLUMNS} {_FROM_BLOBS} IN"
_LOOKUP_LINKED = f"SELECT {_BLOB_COLUMNS} {_FROM_LINKED} = ?"


class EntryRow(NamedTuple):
    """What an entry names, or, without a note and a checksum, contents alone.

    The contents are `data`, or lie in the packed file at `packed_offset_bytes`, or in a file of
    their own where both are None.
    """

    digest: bytes
    size_bytes: int
    data: bytes | None
    blob_id: int
    packed_offset_bytes: int | None
    is_synced: bool
    is_damaged: bool
    note: bytes | None
    crc32: int | None


class Catalogue:
    """One catalogue file. Safe for threads and across forks. Raises `BackendError`.

    `on_network`: the file system of the folder may be in use by other machines.
    """

    def __init__(
        self, folder: Path, *, durable: bool, read_only: bool, on_network: bool = False
    ) -> None:
        self._folder = folder
        self._path = folder / FILE_NAME
        # As text: each write asks for them.
        self._place = str(folder)
        self._file_name = str(self._path)
        self._durable = durable
        self._read_only = read_only
        self._on_network = on_network
        self._immutable = False
        self._write_lock = threading.Lock()
        self._unsettled = Unsettled(folder)
        self._pool = ConnectionPool(str(folder), self._connect)
        try:
            with typed_errors(folder):
                if read_only:
                    self._open()
                else:
                    self._create()
                status = self._path.stat()
        except BaseException:
            # Whoever keeps the exception must not keep others from the store.
            self._pool.close()
            raise
        self._identity = (status.st_dev, status.st_ino)

    def _connect(self) -> sqlite3.Connection:
        mode = "mode=ro&immutable=1" if self._immutable else "mode=rw"
        connection = sqlite3.connect(
            f"{self._path.as_uri()}?{mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=_BUSY_SECONDS,
        )
        try:
            connection.execute(f"PRAGMA synchronous = {'FULL' if self._durable else 'NORMAL'}")
            connection.execute(f"PRAGMA cache_size = -{_PAGE_CACHE_KIB}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
            connection.execute(f"PRAGMA journal_size_limit = {_LOG_LIMIT_BYTES}")
            if self._read_only:
                connection.execute("PRAGMA query_only = ON")
        except BaseException as error:
            # As below: of a damaged catalogue even this may fail.
            connection.close()
            if isinstance(error, UnicodeDecodeError):
                # SQLite's message quotes letters that are damaged, and Python cannot decode them.
                raise damaged_catalogue(self._folder, "malformed schema") from error
            raise
        return connection

    def _open(self) -> None:
        if not self._path.is_file():
            raise BackendMissingError(
                f"there is no store at {self._folder}; check the path, or let a writer make it"
            )
        try:
            is_new = self._is_new()
        except sqlite3.OperationalError as error:
            # A medium that cannot be written: nobody can change it, and SQLite can make no index
            # of the log there. A log or journal that is left over must not be ignored, though.
            if not error.sqlite_errorname.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")) or (
                self._is_left_over("-wal") or self._is_left_over("-journal")
            ):
                raise
            self._immutable = True
            self._pool.close_idle()
            is_new = self._is_new()
        if is_new:
            raise BackendMissingError(f"the store at {self._folder} was never written to")
        if self._on_network and not self._immutable:
            with self._pool.lend() as connection:
                require_safe_journal_mode(connection, self._folder, read_only=True)

    def _is_left_over(self, suffix: str) -> bool:
        path = Path(f"{self._path}{suffix}")
        return path.exists() and path.stat().st_size > 0

    def _is_new(self) -> bool:
        with self._pool.lend() as connection:
            connection.execute("BEGIN")
            try:
                return schema.is_new(connection, self._path)
            finally:
                connection.rollback()

    def _create(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Never open an existing catalogue but through SQLite: closing it would free its locks.
        with suppress(FileExistsError):
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        if self._durable:
            for folder in (self._folder, self._folder.parent):
                sync_path(folder)
        is_new = self._is_new()
        with self._pool.lend() as connection:
            if not is_new:
                if self._on_network:
                    require_safe_journal_mode(connection, self._folder, read_only=False)
                return
            connection.execute(f"PRAGMA page_size = {schema.PAGE_SIZE_BYTES}")
            connection.execute("PRAGMA auto_vacuum = NONE")
            choose_journal_mode(connection, self._folder, on_network=self._on_network)
            connection.execute("BEGIN IMMEDIATE")
            try:
                if schema.is_new(connection, self._path):
                    schema.create(connection)
                connection.execute("COMMIT")
            finally:
                connection.rollback()

    def lookup(self, key: bytes) -> EntryRow | None:
        """What `key` names."""
        return self._lookup(_LOOKUP, key)

    def lookup_digest(self, digest: bytes) -> EntryRow | None:
        """Contents by their digest, whatever names them; without a note."""
        return self._lookup(_LOOKUP_DIGEST, digest)

    def lookup_all(self, keys: Iterable[bytes]) -> list[EntryRow | None]:
        """What each of the keys names, all of one instant."""
        return self._lookup_all(_LOOKUP_MANY, list(keys))

    def lookup_digests(self, digests: Iterable[bytes]) -> list[EntryRow | None]:
        """Contents by their digests, all of one instant."""
        return self._lookup_all(_LOOKUP_DIGESTS, list(digests))

    def lookup_linked(self, digest: bytes) -> list[EntryRow]:
        """All contents that those of `digest` link, all of one instant; none where they are gone.

        Half the price of `lookup_digests`: rows are found by their numbers.
        """
        with typed_errors(self._folder), self._pool.lend() as connection:
            rows = connection.execute(_LOOKUP_LINKED, (digest,)).fetchall()
        return list(map(EntryRow._make, rows))

    def _lookup_all(self, query: str, arguments: list[bytes]) -> list[EntryRow | None]:
        with typed_errors(self._folder), self._pool.lend() as connection:
            connection.execute("BEGIN")
            try:
                rows = list(select_many(connection, query, arguments))
            finally:
                connection.rollback()
        found = {argument: EntryRow._make(row) for argument, *row in rows}
        return list(map(found.get, arguments))

    def _lookup(self, query: str, argument: bytes) -> EntryRow | None:
        # No context manager: each look-up of a small value would pay for it.
        try:
            connection = self._pool.acquire()
            try:
                row = connection.execute(query, (argument,)).fetchone()
            finally:
                self._pool.release(connection)
        except sqlite3.Error as error:
            raise backend_error(self._folder, error) from error
        return None if row is None else EntryRow(*row)

    def contains(self, key: bytes) -> bool:
        """Whether there is an entry of `key`."""
        with typed_errors(self._folder), self._pool.lend() as connection:
            query = "SELECT 1 FROM entries WHERE key = ?"
            return connection.execute(query, (key,)).fetchone() is not None

    def has_file(self, digest: bytes) -> bool:
        """Whether undamaged contents of this digest are known to lie in a file."""
        with typed_errors(self._folder), self._pool.lend() as connection:
            query = (
                "SELECT 1 FROM blobs WHERE digest = ? AND data IS NULL "
                "AND packed_offset_bytes IS NULL AND NOT is_damaged"
            )
            return connection.execute(query, (digest,)).fetchone() is not None

    def keys(self, prefix: bytes) -> Iterator[bytes]:
        """Keys that begin with `prefix`, in order, a page at a time: no long transaction."""
        query = "SELECT key FROM entries WHERE key >= ? AND key < ? ORDER BY key LIMIT ?"
        # No UTF-8 text has the byte FF.
        first, end = prefix, prefix + b"\xff"
        while True:
            with typed_errors(self._folder), self._pool.lend() as connection:
                page = connection.execute(query, (first, end, _KEYS_PER_PAGE)).fetchall()
            for (key,) in page:
                yield key
            if len(page) < _KEYS_PER_PAGE:
                return
            first = page[-1][0] + b"\x00"

    def totals(self) -> tuple[int, int, int]:
        """Entries, logical bytes, stored bytes, all of one instant."""
        query = (
            "SELECT (SELECT count(*) FROM entries), (SELECT coalesce(sum(b.size_bytes), 0) "
            "FROM entries e JOIN blobs b ON b.id = e.blob_id), stored_bytes FROM totals"
        )
        with typed_errors(self._folder), self._pool.lend() as connection:
            entries, logical_bytes, stored_bytes = connection.execute(query).fetchone()
        return int(entries), int(logical_bytes), int(stored_bytes)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A read transaction: all that is read in the block is of one instant."""
        with typed_errors(self._folder), self._pool.lend() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.rollback()

    @contextmanager
    def writing(self, *, wait: bool = True) -> Iterator[Transaction]:
        """A write transaction: committed at the end of the block, undone on any exception.

        Without `wait` a catalogue that others are writing to is a `BackendBusyError` at once.
        """
        if self._read_only:
            raise BackendReadOnlyError(
                f"the store at {self._folder} was opened read-only; open it with DiskBackend"
            )
        with typed_errors(self._folder), self._pool.lend() as connection:
            if not self._write_lock.acquire(blocking=wait):
                raise BackendBusyError(f"the store at {self._folder} is being written; try again")
            try:
                self._check_identity()
                self._begin(connection, wait=wait)
                try:
                    if self._unsettled.is_any():
                        self._unsettled.settle(connection)
                        self._begin(connection, wait=wait)
                    transaction = Transaction(connection, self._place)
                    yield transaction
                    transaction.settle()
                    self._commit(connection, transaction)
                except BaseException:
                    # Where even this fails the pool closes the connection, which undoes it.
                    with suppress(sqlite3.Error):
                        connection.rollback()
                    raise
            finally:
                self._write_lock.release()

    def _commit(self, connection: sqlite3.Connection, transaction: Transaction) -> None:
        """Commit; where that fails, undo it for good.

        A commit that fails when its log is synced stands in the log all the same, where whoever
        recovers the log would find it: so something else is written in its place. Where that fails
        too, the next write begins with it.
        """
        try:
            connection.execute("COMMIT")
        except sqlite3.Error:
            transaction.is_undone = False
            self._unsettled.note()
            with suppress(sqlite3.Error):
                connection.rollback()
                connection.execute("BEGIN IMMEDIATE")
                self._unsettled.settle(connection)
                transaction.is_undone = True
            raise

    def _begin(self, connection: sqlite3.Connection, *, wait: bool) -> None:
        if wait:
            connection.execute("BEGIN IMMEDIATE")
            return
        connection.execute("PRAGMA busy_timeout = 0")
        try:
            connection.execute("BEGIN IMMEDIATE")
        finally:
            connection.execute(f"PRAGMA busy_timeout = {int(_BUSY_SECONDS * 1000)}")

    def _check_identity(self) -> None:
        """Refuse to write into a catalogue that has no name any more: that would be lost."""
        try:
            status = os.stat(self._file_name)  # noqa: PTH116 - no Path per write
        except FileNotFoundError:
            status = None
        if status is None or (status.st_dev, status.st_ino) != self._identity:
            raise BackendMissingError(
                f"the store at {self._folder} was deleted or replaced while it was open; "
                "open it again"
            )

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()
