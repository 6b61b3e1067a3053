"""Local stores of values by key, behind the two calls that are timed.

None of them waits for the medium: what is put survives the death of the process, not power loss.
Each is set up as one who knows it would. All give the value as `bytes` of the caller's own, so each
copies it once at least: 256 values of 64 KiB are 16 MiB, more than a processor keeps near.
"""

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torchstash.cache import DiskBackend
from torchstash.tools.bench.errors import UnavailableError

OURS = "torchstash DiskBackend"
SQLITE = "SQLite, WAL"
TORCH = "torch LocalCacheBackend"

# What was written just now is hashed at every hit (docs/adr/0039), and a cache is read for longer.
_REST_SECONDS = 2.1
_MAPPED_BYTES = 1 << 30


@dataclass(frozen=True)
class Store:
    """An open store."""

    get: Callable[[str], object]
    put: Callable[[str, bytes], object]
    close: Callable[[], None] = lambda: None
    # Called between filling and reading.
    rest: Callable[[], None] = lambda: None


def disk_backend(folder: Path) -> Store:
    """Ours; the only one that checks what it reads."""
    backend = DiskBackend(folder)
    return Store(backend.get, backend.put, backend.close, lambda: time.sleep(_REST_SECONDS))


def disk_cache(folder: Path) -> Store:
    """A SQLite catalogue and a file for each larger value, with eviction."""
    try:
        import diskcache  # noqa: PLC0415 - a peer that may be missing
    except ImportError as error:
        raise UnavailableError(f"{error}: pip install diskcache") from error
    cache = diskcache.Cache(str(folder))
    return Store(cache.get, cache.set, cache.close)


def sqlite(folder: Path) -> Store:
    """A table of keys and values.

    With rows of its own: without, SQLite compares whole records, and reads each large value twice.
    The file is mapped: else a value is copied page by page into a cache that cannot hold them all,
    and from there again.
    """
    connection = sqlite3.connect(folder / "values.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA mmap_size = {_MAPPED_BYTES}")
    connection.execute("CREATE TABLE entries (key TEXT PRIMARY KEY, value BLOB)")

    def get(key: str) -> object:
        row = connection.execute("SELECT value FROM entries WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def put(key: str, value: bytes) -> None:
        connection.execute("INSERT OR REPLACE INTO entries VALUES (?, ?)", (key, value))

    return Store(get, put, connection.close)


def torch_files(folder: Path) -> Store:
    """A file for each value, written beside its place and renamed."""
    try:
        from torch._inductor.remote_cache import LocalCacheBackend  # noqa: PLC0415 - may be missing
    except ImportError as error:
        raise UnavailableError(f"this PyTorch has no local cache: {error}") from error
    backend = LocalCacheBackend()
    return Store(
        lambda key: backend.get(str(folder / key)),
        lambda key, value: backend.put(str(folder / key), value),
    )


STORES: dict[str, Callable[[Path], Store]] = {
    OURS: disk_backend,
    "diskcache": disk_cache,
    SQLITE: sqlite,
    TORCH: torch_files,
}
