from collections.abc import Iterator
from pathlib import Path

import pytest

from torchstash.cache import (
    Digest,
    DigestConflictError,
    DiskBackend,
    Put,
    cache_counters,
)
from torchstash.tests.cache.backend_contract import content
from torchstash.tests.cache.disk_stores import blob_files


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DiskBackend]:
    with DiskBackend(tmp_path / "store") as backend:
        yield backend


class TestCommit:
    def test_is_all_or_nothing(self, store: DiskBackend) -> None:
        store.put("a", b"old")

        def puts() -> Iterator[Put]:
            yield Put("a", b"new")
            yield Put("b", content(100_000))
            raise RuntimeError("the caller's own")

        with pytest.raises(RuntimeError, match="the caller's own"):
            store.commit(puts())
        assert store.get("a") == b"old"
        assert list(store.keys()) == ["a"]
        assert list((store.path / "tmp").iterdir()) == []
        with pytest.raises(TypeError):
            store.commit([Put("a", b"new"), Put("b", "text")])  # type: ignore[arg-type]
        assert store.get("a") == b"old"

    def test_the_last_of_one_key_stays(self, store: DiskBackend) -> None:
        store.commit([Put("a", b"1"), Put("a", content(100_000)), Put("a", b"3")])
        assert store.get("a") == b"3"
        assert blob_files(store) == []
        store.commit([])

    def test_counts_each_put(self, store: DiskBackend) -> None:
        name = "backend:DiskBackend"
        before = cache_counters.snapshot().get(name)
        store.commit([Put("a", b"1"), Put("b", b"2")])
        after = cache_counters.snapshot()[name]
        assert after.put - (before.put if before else 0) == 2

    def test_a_given_digest_is_believed(self, store: DiskBackend) -> None:
        data = content(100_000)
        store.commit([Put("a", data, Digest.of(data)), Put("b", b"x", Digest.of(b"x"))])
        assert store.get("a") == data
        assert store.get("b") == b"x"

    @pytest.mark.parametrize("size_bytes", [10, 100_000])
    def test_a_digest_that_lies_about_the_size_is_refused(
        self, store: DiskBackend, size_bytes: int
    ) -> None:
        data = content(size_bytes)
        store.put("a", data)
        with pytest.raises(DigestConflictError, match="hash them again"):
            store.commit([Put("b", data + b"x", Digest.of(data))])
        assert store.get("a") == data
        assert store.get("b") is None

    def test_contents_that_vanish_meanwhile_are_written_again(
        self, store: DiskBackend, tmp_path: Path
    ) -> None:
        data = content(100_000)
        store.put("a", data)

        def puts() -> Iterator[Put]:
            yield Put("b", data)
            with DiskBackend(store.path) as other:
                other.delete("a")

        store.commit(puts())
        assert store.get("b") == data
