"""The least that a content-addressed store over SQLite does for one small tensor.

Two tables and a file, and nothing that makes it a product: no names that are checked, no tensors
but plain ones, no quota, nobody else who writes, nothing found out when it is damaged but bytes.
What stays is what no care in Python can take away: a durable commit of two rows, a hash, a write;
a look-up, a read, a hash, a tensor.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import torch
from blake3 import blake3

from torchstash.content_store.memory import readable, writable
from torchstash.tools.bench.errors import WrongResultError
from torchstash.tools.bench.storing.keeper import Keeper, Tensors

BARE_SQLITE = "SQLite, BLAKE3, one file"

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS names (name BLOB PRIMARY KEY, digest BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS contents (digest BLOB PRIMARY KEY, start INTEGER NOT NULL)
    WITHOUT ROWID;
"""
_FIND = "SELECT c.digest, c.start FROM names n JOIN contents c USING (digest) WHERE n.name = ?"


def bare_sqlite() -> Keeper:
    """Both calls, tensor by tensor, a commit for each."""
    return Keeper(BARE_SQLITE, _save, _load, is_ceiling=True)


@contextmanager
def _opened(folder: Path) -> Iterator[tuple[sqlite3.Connection, int]]:
    path = folder / "catalogue.sqlite3"
    file = os.open(folder / "contents.bin", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript(_SCHEMA)
            yield connection, file
    finally:
        os.close(file)


def _save(folder: Path, tensors: Tensors) -> None:
    with _opened(folder) as (connection, file):
        execute = connection.execute
        end = os.fstat(file).st_size
        for name, tensor in tensors.items():
            data = readable(tensor.untyped_storage())
            digest = blake3(data).digest()
            key = name.encode()
            known = execute(_FIND, (key,)).fetchone()
            if known is not None and known[0] == digest:
                continue
            execute("BEGIN IMMEDIATE")
            added = execute("INSERT OR IGNORE INTO contents VALUES (?, ?)", (digest, end)).rowcount
            if added:
                os.pwrite(file, data, end)
                os.fsync(file)
                end += len(data)
            execute("INSERT OR REPLACE INTO names VALUES (?, ?)", (key, digest))
            execute("COMMIT")


def _load(folder: Path, tensors: Tensors) -> Tensors:
    found = {}
    with _opened(folder) as (connection, file):
        for name, like in tensors.items():
            digest, start = connection.execute(_FIND, (name.encode(),)).fetchone()
            storage = torch.UntypedStorage(like.untyped_storage().nbytes())  # type: ignore[no-untyped-call]
            tensor = torch.empty(0, dtype=like.dtype)
            tensor.set_(storage, like.storage_offset(), like.shape, like.stride())
            target = writable(storage)
            os.preadv(file, [target], start)
            if blake3(target).digest() != digest:
                raise WrongResultError(f"{name} is not what was saved")
            found[name] = tensor
    return found
