"""A store on a network file system: in SQLite's rollback mode, and read through fresh files.

There is none here; the engine is told that there is.
"""

import os
import signal
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typing_extensions import override

from torchstash.cache import BackendError, DiskBackend, DiskMaintenance
from torchstash.tests.cache.backend_contract import BackendContract, content

_ON_NETWORK = (
    "torchstash.cache.disk.backend.is_on_network",
    "torchstash.cache.disk.maintenance.is_on_network",
)


def _say_on_network(monkeypatch: pytest.MonkeyPatch, *, on_network: bool = True) -> None:
    for name in _ON_NETWORK:
        monkeypatch.setattr(name, lambda _: on_network)


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> None:
    _say_on_network(monkeypatch)


def _mode(folder: Path) -> str:
    connection = sqlite3.connect(folder / "catalogue.sqlite3")
    mode: str = connection.execute("PRAGMA journal_mode").fetchone()[0]
    connection.close()
    return mode


class TestContract(BackendContract):
    @pytest.fixture
    @override
    def backend(self, tmp_path: Path, network: None) -> Iterator[DiskBackend]:
        with DiskBackend(tmp_path) as backend:
            yield backend


def test_nothing_is_shared_through_memory(tmp_path: Path, network: None) -> None:
    with DiskBackend(tmp_path, durable=True) as backend:
        backend.put("key", content(5000))
        assert _mode(tmp_path) == "delete"
        assert not list(tmp_path.glob("*-wal"))
        assert not list(tmp_path.glob("*-shm"))
    with DiskBackend.open_read_only(tmp_path) as reader:
        assert reader.get("key") == content(5000)
    with DiskMaintenance(tmp_path) as maintenance:
        assert not list(maintenance.audit())
        assert not list(maintenance.check_contents())


def test_writers_and_readers_get_along(tmp_path: Path, network: None) -> None:
    with DiskBackend(tmp_path) as first:
        first.put("key", content(5000, 0))

    def write(seed: int) -> None:
        with DiskBackend(tmp_path) as writer:
            for i in range(10):
                writer.put("key", content(5000, seed * 10 + i))

    def read() -> None:
        with DiskBackend.open_read_only(tmp_path) as reader:
            for _ in range(50):
                assert reader.get("key") in possible

    possible = {content(5000, i) for i in range(40)}
    with ThreadPoolExecutor(6) as pool:
        running = [pool.submit(write, seed) for seed in range(4)]
        running += [pool.submit(read) for _ in range(2)]
        for each in running:
            each.result()


def test_a_store_from_a_local_disk_changes_its_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _say_on_network(monkeypatch, on_network=False)
    with DiskBackend(tmp_path) as local:
        local.put("key", b"value")
    assert _mode(tmp_path) == "wal"
    _say_on_network(monkeypatch)
    with pytest.raises(BackendError, match="open it once for writing"):
        DiskBackend.open_read_only(tmp_path)
    with DiskBackend(tmp_path) as remote:
        assert remote.get("key") == b"value"
    assert _mode(tmp_path) == "delete"
    assert DiskBackend.open_read_only(tmp_path).get("key") == b"value"
    # Other machines may use it still.
    _say_on_network(monkeypatch, on_network=False)
    with DiskBackend(tmp_path) as local:
        local.put("key", b"other")
    assert _mode(tmp_path) == "delete"


def test_a_writer_that_dies_in_the_middle_is_undone(tmp_path: Path, network: None) -> None:
    values = {f"{i}": content(900, i) for i in range(200)}
    with DiskBackend(tmp_path, durable=True) as backend:
        backend.put_many(values)
    child = os.fork()
    if child == 0:
        connection = sqlite3.connect(tmp_path / "catalogue.sqlite3", isolation_level=None)
        connection.execute("PRAGMA cache_size = 1")  # Pages go to the file at once.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM entries")
        connection.execute("UPDATE blobs SET data = zeroblob(900)")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert (tmp_path / "catalogue.sqlite3-journal").stat().st_size
    with DiskBackend.open_read_only(tmp_path) as reader:
        assert reader.get_many(values) == values
