import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from torchstash.cache import BackendForkedError, DiskBackend, Put, cache_counters
from torchstash.cache.disk import connection_pool
from torchstash.tests.cache.backend_contract import content
from torchstash.tests.cache.child_process import (
    end_child,
    end_python,
    fork_while_threads_work,
    run_in_child,
    start_child,
    start_python,
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DiskBackend]:
    with DiskBackend(tmp_path / "store") as backend:
        yield backend


_WORKER = """
import hashlib
import sys
from torchstash.cache import DiskBackend

def content(size_bytes, seed):
    return hashlib.shake_128(f"{seed}".encode()).digest(size_bytes)

worker = int(sys.argv[2])
with DiskBackend(sys.argv[1]) as store:
    for i in range(20):
        for size_bytes in (100, 100_000):
            value = content(size_bytes, i % 4)
            store.put(f"shared/{size_bytes}", value)
            found = store.get(f"shared/{size_bytes}")
            assert found in {content(size_bytes, seed) for seed in range(4)}
            store.put(f"own/{worker}/{size_bytes}/{i}", content(size_bytes, 100 * worker + i))
            store.delete(f"gone/{size_bytes}")
            store.put(f"gone/{size_bytes}", value)
"""


def test_processes_share_a_store(tmp_path: Path) -> None:
    workers = [start_python(_WORKER, tmp_path / "new", i) for i in range(3)]
    for worker in workers:
        end_python(worker)
    with DiskBackend(tmp_path / "new") as store:
        for i in range(60):
            for size_bytes in (100, 100_000):
                found = store.get(f"own/{i // 20}/{size_bytes}/{i % 20}")
                assert found == content(size_bytes, 100 * (i // 20) + i % 20)


def test_processes_may_open_a_new_store_at_once(tmp_path: Path) -> None:
    for i in range(10):
        path = tmp_path / f"{i}"
        reader, writer = os.pipe()

        def work(path: Path = path, reader: int = reader, writer: int = writer) -> None:
            os.close(writer)
            os.read(reader, 1)
            with DiskBackend(path) as store:
                store.put(f"{os.getpid()}", b"x")

        children = [start_child(work) for _ in range(4)]
        os.close(reader)
        os.close(writer)
        for child in children:
            end_child(child)
        with DiskBackend(path) as store:
            assert len(list(store.keys())) == 4


def test_a_child_uses_what_its_parent_opened(store: DiskBackend) -> None:
    store.put("parent", b"before")

    def work() -> None:
        assert store.get("parent") == b"before"
        store.put("child", content(100_000))
        store.put("parent", b"after")

    run_in_child(work)
    assert store.get("parent") == b"after"
    assert store.get("child") == content(100_000)


def test_children_outlive_the_parents_connections(store: DiskBackend) -> None:
    # SQLite's locks belong to a process. If a child inherited the parent's, the parent's closing
    # would remove the log that the child is still writing to.
    store.put("a", b"x")
    go_reader, go_writer = os.pipe()

    def work() -> None:
        os.close(go_writer)
        store.put("child/before", b"1")
        os.read(go_reader, 1)
        for i in range(50):
            store.put(f"child/after/{i}", content(100, i))

    child = start_child(work)
    os.close(go_reader)
    store.get("a")
    store.close()
    with DiskBackend(store.path) as other:
        other.put("b", b"y")
    os.close(go_writer)
    end_child(child)
    with DiskBackend(store.path) as again:
        assert [again.get(f"child/after/{i}") for i in range(50)] == [
            content(100, i) for i in range(50)
        ]
        assert again.get("child/before") == b"1"
        assert again.get("b") == b"y"


def test_forks_while_threads_work(store: DiskBackend) -> None:
    def work(name: str, i: int) -> None:
        size_bytes = 100_000 if i % 5 == 0 else 100
        store.put(name, content(size_bytes, i))
        assert store.get(name) == content(size_bytes, i)

    def in_child() -> None:
        before = cache_counters.snapshot()["backend:DiskBackend"].put
        for i in range(5):
            store.put(f"child/{i}", content(1000, i))
            assert store.get(f"child/{i}") == content(1000, i)
        assert cache_counters.snapshot()["backend:DiskBackend"].put == before + 5

    fork_while_threads_work(work, in_child, forks=15)


def test_a_fork_in_the_middle_of_a_listing(store: DiskBackend) -> None:
    for i in range(1000):
        store.put(f"{i:04}", b"x")
    listing = store.keys()
    first = next(listing)

    def work() -> None:
        assert [first, *listing] == [f"{i:04}" for i in range(1000)]

    run_in_child(work)
    assert [first, *listing] == [f"{i:04}" for i in range(1000)]


def test_a_fork_that_cannot_wait_for_an_operation(
    store: DiskBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_pool, "_FORK_WAIT_SECONDS", 0.05)
    store.put("key", b"x")

    def work() -> None:
        for use in (lambda: store.get("key"), lambda: DiskBackend(store.path)):
            with pytest.raises(BackendForkedError, match="fork between operations"):
                use()
        with DiskBackend(store.path.with_name("other")) as other:
            other.put("key", b"x")

    # What a signal handler would do that forks while its own thread is at it.
    with store._catalogue.writing():
        child = start_child(work)
    end_child(child)
    store.put("key", b"y")
    assert store.get("key") == b"y"


def test_a_fork_in_the_middle_of_a_commit(store: DiskBackend) -> None:
    def puts() -> Iterator[Put]:
        yield Put("a", content(100_000))
        run_in_child(lambda: store.put("child", b"x"))
        yield Put("b", b"y")

    store.commit(puts())
    assert store.get("child") == b"x"
    assert store.get("a") == content(100_000)
    assert store.get("b") == b"y"
