import os
import pickle
import random
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typing_extensions import override

from torchstash.cache import (
    Digest,
    DiskBackend,
    Put,
)
from torchstash.tests.cache.backend_contract import BackendContract, content
from torchstash.tests.cache.disk_stores import PACKED_MAX_BYTES, blob_files


class TestDiskBackend(BackendContract):
    @pytest.fixture
    @override
    def backend(self, tmp_path: Path) -> Iterator[DiskBackend]:
        with DiskBackend(tmp_path / "store") as backend:
            yield backend


class TestDurableDiskBackend(BackendContract):
    @pytest.fixture
    @override
    def backend(self, tmp_path: Path) -> Iterator[DiskBackend]:
        with DiskBackend(tmp_path / "store", durable=True) as backend:
            yield backend


class TestCappedDiskBackend(BackendContract):
    @pytest.fixture
    @override
    def backend(self, tmp_path: Path) -> Iterator[DiskBackend]:
        with DiskBackend(tmp_path / "store", max_bytes=64 << 20) as backend:
            yield backend


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DiskBackend]:
    with DiskBackend(tmp_path / "store") as backend:
        yield backend


class TestLayout:
    def test_small_values_are_packed_and_large_ones_lie_in_files(self, store: DiskBackend) -> None:
        store.put("small", content(PACKED_MAX_BYTES))
        store.put("large", content(PACKED_MAX_BYTES + 1))
        small, large = store.locate("small"), store.locate("large")
        assert small is not None
        assert small.path is None
        assert small.small_contents() == content(PACKED_MAX_BYTES)
        assert small.digest == Digest.of(content(PACKED_MAX_BYTES))
        assert large is not None
        assert large.data is None
        assert large.path is not None
        assert large.size_bytes == PACKED_MAX_BYTES + 1
        assert large.path.read_bytes() == content(PACKED_MAX_BYTES + 1)
        assert large.path.name == Digest.of(content(PACKED_MAX_BYTES + 1)).hex
        assert store.locate("absent") is None

    def test_equal_contents_are_stored_once(self, store: DiskBackend) -> None:
        for size_bytes in (100, 100_000):
            for i in range(3):
                store.put(f"{size_bytes}/{i}", content(size_bytes))
        stats = store.stats()
        assert (stats.entries, stats.logical_bytes, stats.stored_bytes) == (6, 300_300, 100_100)
        assert len(blob_files(store)) == 1

    def test_everything_is_private_to_the_user(self, tmp_path: Path) -> None:
        old = os.umask(0)
        try:
            with DiskBackend(tmp_path / "a" / "store") as store:
                store.put("small", b"x")
                store.put("large", content(100_000))
                for path in [store.path, *store.path.rglob("*")]:
                    mode = stat.S_IMODE(path.stat().st_mode)
                    assert mode & 0o077 == 0, f"{path} has mode {mode:o}"
                assert stat.S_IMODE(blob_files(store)[0].stat().st_mode) == 0o400
        finally:
            os.umask(old)

    def test_replaced_and_deleted_contents_leave_no_file(self, store: DiskBackend) -> None:
        store.put("a", content(100_000, 1))
        store.put("b", content(100_000, 1))
        store.put("a", content(100_000, 2))
        assert len(blob_files(store)) == 2
        store.put("b", b"small")
        assert len(blob_files(store)) == 1
        store.delete("a")
        assert blob_files(store) == []
        assert store.stats().stored_bytes == len(b"small")

    def test_relative_paths_and_odd_names(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with DiskBackend("st?re #1 %41 \u6f22") as store:
            store.put("key", b"x")
            monkeypatch.chdir("/")
            other = threading.Thread(target=store.put, args=("other", b"y"))
            other.start()
            store.put("large", content(100_000))
            other.join()
        assert (tmp_path / "st?re #1 %41 \u6f22" / "catalogue.sqlite3").exists()

    def test_a_new_process_finds_everything(self, tmp_path: Path) -> None:
        with DiskBackend(tmp_path) as store:
            store.put("small", b"x")
            store.put("large", content(100_000))
        with DiskBackend(tmp_path) as again:
            assert again.get("small") == b"x"
            assert again.get("large") == content(100_000)

    def test_crosses_process_borders_as_its_path(self, store: DiskBackend) -> None:
        store.put("key", b"x")
        with pickle.loads(pickle.dumps(store)) as other:
            assert other.get("key") == b"x"


@pytest.mark.parametrize("seed", range(3))
def test_random_histories_keep_the_catalogue_and_the_files_in_step(
    tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    model: dict[str, bytes] = {}
    with DiskBackend(tmp_path) as store:
        for _ in range(150):
            key = rng.choice("abcdef")
            choice = rng.random()
            if choice < 0.2:
                assert store.delete(key) == (model.pop(key, None) is not None)
            elif choice < 0.3:
                store.sweep(grace_seconds=0)
            else:
                batch = {
                    rng.choice("abcdef"): content(rng.choice([0, 9, 3000, 5000, 70_000]), n % 2)
                    for n in range(rng.randint(1, 3))
                }
                store.commit(Put(k, v) for k, v in batch.items())
                model.update(batch)
            unique = set(model.values())
            stats = store.stats()
            assert stats.entries == len(model)
            assert stats.logical_bytes == sum(map(len, model.values()))
            assert stats.stored_bytes == sum(map(len, unique))
            assert sorted(path.name for path in blob_files(store)) == sorted(
                Digest.of(value).hex for value in unique if len(value) > PACKED_MAX_BYTES
            )
        assert {key: store.get(key) for key in store.keys()} == model  # noqa: SIM118 - no dict
