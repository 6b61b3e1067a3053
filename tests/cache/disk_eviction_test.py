from pathlib import Path

import pytest

from torchstash.cache import (
    DiskBackend,
)
from torchstash.tests.cache.backend_contract import content
from torchstash.tests.cache.disk_stores import PACKED_MAX_BYTES, blob_files


class TestEviction:
    @pytest.mark.parametrize("size_bytes", [1000, 100_000])
    def test_the_cap_holds_and_the_latest_stay(self, tmp_path: Path, size_bytes: int) -> None:
        with DiskBackend(tmp_path, max_bytes=20 * size_bytes) as cache:
            for i in range(100):
                cache.put(f"{i:03}", content(size_bytes, i))
                assert cache.stats().stored_bytes <= 20 * size_bytes
            kept = list(cache.keys())
            assert kept == [f"{i:03}" for i in range(100 - len(kept), 100)]
            assert len(kept) >= 18
            assert len(blob_files(cache)) == (len(kept) if size_bytes > PACKED_MAX_BYTES else 0)

    def test_what_is_read_stays(self, tmp_path: Path) -> None:
        with DiskBackend(tmp_path, max_bytes=10_000) as cache:
            cache.put("used", bytes(1000))
            for i in range(50):
                cache.put(f"{i}", content(1000, i))
                assert cache.get("used") == bytes(1000)

    def test_reads_of_one_process_count_in_another(self, tmp_path: Path) -> None:
        with DiskBackend(tmp_path, max_bytes=10_000) as cache:
            for i in range(10):
                cache.put(f"{i}", content(1000, i))
            with DiskBackend(tmp_path, max_bytes=10_000) as reader:
                reader.get("0")
            cache.put("new", content(1000, 99))
            assert cache.contains("0")
            assert not cache.contains("1")

    def test_many_reads_are_told_without_a_put(self, tmp_path: Path) -> None:
        with DiskBackend(tmp_path, max_bytes=10_000_000) as cache:
            for i in range(1100):
                cache.put(f"{i}", b"%d" % i)
            before = (tmp_path / "catalogue.sqlite3-wal").read_bytes()
            for i in range(1000):
                cache.get(f"{i}")
            assert (tmp_path / "catalogue.sqlite3-wal").read_bytes() == before
            for i in range(1000, 1100):
                cache.get(f"{i}")
            assert (tmp_path / "catalogue.sqlite3-wal").read_bytes() != before

    def test_a_value_beyond_the_cap_evicts_nothing_but_its_old_self(self, tmp_path: Path) -> None:
        with DiskBackend(tmp_path, max_bytes=1000) as cache:
            cache.put("other", b"kept")
            cache.put("key", b"old")
            cache.put("key", bytes(1001))
            assert cache.get("key") is None
            assert cache.get("other") == b"kept"

    def test_a_value_as_large_as_the_cap_fits(self, tmp_path: Path) -> None:
        with DiskBackend(tmp_path, max_bytes=100_000) as cache:
            cache.put("a", b"x")
            cache.put("b", content(100_000))
            assert list(cache.keys()) == ["b"]
            assert cache.get("b") == content(100_000)

    def test_shared_contents_count_once(self, tmp_path: Path) -> None:
        with DiskBackend(tmp_path, max_bytes=1000) as cache:
            for i in range(100):
                cache.put(f"{i}", bytes(900))
            assert cache.stats().entries == 100

    def test_a_store_evicts_nothing(self, tmp_path: Path) -> None:
        with DiskBackend(tmp_path) as store:
            for i in range(50):
                store.put(f"{i}", content(100_000, i))
            assert store.stats().stored_bytes == 5_000_000
