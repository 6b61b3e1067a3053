import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from torchstash.cache import BackendError, BackendFullError, DiskBackend, Put
from torchstash.tests.cache.backend_contract import content
from torchstash.tests.cache.child_process import run_in_child

_LIMIT_BYTES = 1 << 20


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DiskBackend]:
    with DiskBackend(tmp_path / "store") as backend:
        yield backend


def _limit() -> None:
    """The operating system refuses to let any file grow further, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LIMIT_BYTES, _LIMIT_BYTES))


def _fill(store: DiskBackend, puts: Callable[[int], list[Put]]) -> int:
    """Commit until there is an error; the number of commits that succeeded."""
    for i in range(1000):
        try:
            store.commit(puts(i))
        except BackendError:
            return i
    raise AssertionError("nothing was full")


def test_a_large_value_that_does_not_fit(store: DiskBackend) -> None:
    store.put("key", content(200_000))

    def work() -> None:
        _limit()
        for _ in range(3):
            with pytest.raises(BackendFullError, match="free some space"):
                store.put("key", content(_LIMIT_BYTES + 1))
            with pytest.raises(BackendFullError, match="free some space"):
                store.commit([Put("new", b"x"), Put("key", content(_LIMIT_BYTES + 1))])
            assert list((store.path / "tmp").iterdir()) == []
        assert store.get("key") == content(200_000)
        assert store.get("new") is None
        store.put("small", content(300_000))

    run_in_child(work)
    assert store.get("key") == content(200_000)
    assert store.get("small") == content(300_000)


@pytest.mark.parametrize("size_bytes", [3000, 60_000])
def test_a_catalogue_that_cannot_grow(store: DiskBackend, size_bytes: int) -> None:
    reader, writer = os.pipe()

    def work() -> None:
        os.close(reader)
        _limit()
        kept = _fill(
            store, lambda i: [Put(f"{i}", content(size_bytes, i)), Put("latest", b"%d" % i)]
        )
        for i in range(kept):
            assert store.get(f"{i}") == content(size_bytes, i)
        os.write(writer, b"%d" % kept)

    run_in_child(work)
    os.close(writer)
    kept = int(os.read(reader, 100))
    os.close(reader)
    assert kept
    assert list(store.keys("l")) == ["latest"]
    assert store.get("latest") == b"%d" % (kept - 1)
    for i in range(kept):
        assert store.get(f"{i}") == content(size_bytes, i)
    store.put("again", content(size_bytes))
    assert store.get("again") == content(size_bytes)
    assert store.stats().entries == kept + 2


def test_a_commit_that_fails_late_leaves_no_files(store: DiskBackend) -> None:
    def work() -> None:
        store.put("old", b"x")
        _limit()
        _fill(store, lambda i: [Put(f"{i}", content(60_000, i)), Put("f", content(100_000, i))])
        names = {path.name for path in store.path.rglob("*") if len(path.name) == 64}
        assert len(names) <= 2

    run_in_child(work)
    store.sweep(grace_seconds=0)
    assert store.get("old") == b"x"
    file = store.locate("f")
    assert file is not None
    assert [p for p in (store.path / "blobs").rglob("*") if p.is_file()] == [file.path]
