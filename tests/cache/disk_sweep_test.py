import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from torchstash.cache import (
    Digest,
    DiskBackend,
)
from torchstash.tests.cache.backend_contract import content


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DiskBackend]:
    with DiskBackend(tmp_path / "store") as backend:
        yield backend


class TestSweep:
    def test_removes_orphans_and_nothing_else(self, store: DiskBackend) -> None:
        store.put("large", content(100_000))
        orphan = Digest.of(b"orphan").hex
        (store.path / "blobs" / orphan[:2]).mkdir(exist_ok=True)
        (store.path / "blobs" / orphan[:2] / orphan).write_bytes(bytes(70_000))
        (store.path / "blobs" / orphan[:2] / "README").write_text("not ours")
        (store.path / "blobs" / "notes").mkdir()
        (store.path / "tmp" / ("0" * 32 + ".part")).write_bytes(b"12345")
        (store.path / "tmp" / "letter.txt").write_text("not ours")
        report = store.sweep(grace_seconds=3600)
        assert (report.orphan_files, report.temporary_files) == (1, 0)
        report = store.sweep(grace_seconds=0)
        assert (report.orphan_files, report.temporary_files, report.freed_bytes) == (0, 1, 5)
        assert store.get("large") == content(100_000)
        assert (store.path / "tmp" / "letter.txt").exists()
        assert (store.path / "blobs" / orphan[:2] / "README").exists()
        assert store.sweep(grace_seconds=0).freed_bytes == 0

    def test_takes_nothing_from_writers(self, store: DiskBackend) -> None:
        stop = threading.Event()
        failures: list[BaseException] = []

        def sweep() -> None:
            with DiskBackend(store.path) as other:
                while not stop.is_set():
                    other.sweep()

        sweeper = threading.Thread(target=sweep)
        sweeper.start()
        try:
            for i in range(60):
                store.put("same", content(100_000, i % 3))
                store.put(f"{i}", content(100_000, i))
                if store.get("same") != content(100_000, i % 3):
                    failures.append(AssertionError(i))
        finally:
            stop.set()
            sweeper.join()
        assert not failures
        for i in range(60):
            assert store.get(f"{i}") == content(100_000, i)
