"""What pulls that never ended leave goes with the garbage; nothing of one that is under way."""

import os
import signal
import sqlite3
import time
from pathlib import Path

import pytest
import torch

from torchstash.cache.disk import DiskBackend
from torchstash.content_store import (
    ContentStoreMaintenance,
    ContentStoreReader,
    ContentStoreWriter,
    GarbageReport,
    PlaceUnavailableError,
)
from torchstash.content_store.movement import pull, push
from torchstash.content_store.process_identity import own_identity
from torchstash.content_store.pull_mark import is_any_under_way
from torchstash.tests.content_store.movement.backends import Asking, FailingAt
from torchstash.tests.content_store.movement.movable_store import large

GRACE_SECONDS = 3600.0


def a_snapshot_of_two_large_contents(folder: Path, backend: Asking) -> None:
    with ContentStoreWriter(folder) as writer:
        writer.save_state_dict("step", {"a": large(), "b": large(1), "c": torch.ones(5)})
    push(folder, backend)


def fetch_some(folder: Path, backend: Asking) -> None:
    """A pull that fails when the first of the large contents has arrived."""
    for step in range(4, 20):
        backend.before = FailingAt(step)
        with pytest.raises(PlaceUnavailableError):
            pull(folder, backend, threads=1)
        if arrivals(folder):
            break
    backend.before = lambda _: None
    assert arrivals(folder)


def arrivals(folder: Path) -> list[str]:
    with DiskBackend(folder) as store:
        return list(store.keys("pulls/"))


def age(folder: Path) -> None:
    """As if they had arrived two hours ago."""
    with sqlite3.connect(folder / "catalogue.sqlite3") as connection:
        long_ago_unix_ns = time.time_ns() - int(2 * GRACE_SECONDS * 1e9)
        connection.execute(
            "UPDATE entries SET written_unix_ns = ? WHERE CAST(key AS TEXT) LIKE 'pulls/%'",
            (long_ago_unix_ns,),
        )
    connection.close()


def collected(folder: Path, grace_seconds: float = GRACE_SECONDS) -> GarbageReport:
    maintenance = ContentStoreMaintenance(folder)
    planned = maintenance.gc(grace_seconds=grace_seconds, dry_run=True).pulled_contents
    report = maintenance.gc(grace_seconds=grace_seconds)
    assert report.pulled_contents == planned
    assert list(maintenance.verify()) == []
    return report


def test_what_a_pull_left_goes_after_the_grace_period(tmp_path: Path) -> None:
    backend = Asking()
    a_snapshot_of_two_large_contents(tmp_path / "a", backend)
    fetch_some(tmp_path / "b", backend)
    used = ContentStoreMaintenance(tmp_path / "b").quota().used_bytes
    assert collected(tmp_path / "b").pulled_contents == 0
    age(tmp_path / "b")
    assert collected(tmp_path / "b", 1e10).pulled_contents == 0
    assert collected(tmp_path / "b").pulled_contents >= 1
    assert not arrivals(tmp_path / "b")
    assert ContentStoreMaintenance(tmp_path / "b").quota().used_bytes < used - (8 << 20)
    pull(tmp_path / "b", backend)
    with ContentStoreReader(tmp_path / "b") as reader:
        assert reader.load_state_dict("step")["b"].equal(large(1))


def test_a_pull_under_way_loses_nothing(tmp_path: Path) -> None:
    backend = Asking()
    a_snapshot_of_two_large_contents(tmp_path / "a", backend)
    fetch_some(tmp_path / "b", backend)
    age(tmp_path / "b")
    seen: list[int] = []

    def collect(_: str) -> None:
        with DiskBackend(tmp_path / "b") as store:
            is_marked = any(True for _ in store.keys("pulling/"))
        if is_marked:
            seen.append(collected(tmp_path / "b").pulled_contents)

    backend.before = collect
    pull(tmp_path / "b", backend, threads=1)
    assert len(seen) >= 3
    assert not any(seen)
    with ContentStoreReader(tmp_path / "b") as reader:
        assert reader.load_state_dict("step")["a"].equal(large())
    with DiskBackend(tmp_path / "b") as store:
        assert not list(store.keys("pull"))


def test_the_mark_of_a_pull_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    backend = Asking()
    a_snapshot_of_two_large_contents(tmp_path / "a", backend)
    fetch_some(tmp_path / "b", backend)
    child = os.fork()
    if child == 0:
        backend.before = lambda _: os.kill(os.getpid(), signal.SIGKILL) if marks() else None

        def marks() -> list[str]:
            with DiskBackend(tmp_path / "b") as store:
                return list(store.keys("pulling/"))

        try:
            pull(tmp_path / "b", backend)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    age(tmp_path / "b")
    with DiskBackend(tmp_path / "b") as store:
        assert list(store.keys("pulling/"))
    assert collected(tmp_path / "b").pulled_contents >= 1
    with DiskBackend(tmp_path / "b") as store:
        assert not list(store.keys("pull"))


def test_who_is_taken_to_be_under_way() -> None:
    now = int(time.time())
    for identity, recent, old in (
        (own_identity(), True, True),
        # Of another machine: a clock has to decide.
        ("0123.45-1-1", True, False),
        ("unknown", True, False),
    ):
        assert is_any_under_way([f"pulling/{now:012d}/{identity}/0"], now - 60) is recent
        assert is_any_under_way([f"pulling/{now - 600:012d}/{identity}/0"], now - 60) is old
    place, number, started = own_identity().split("-")
    gone = f"{place}-{number}-{int(started) - 1}"
    assert not is_any_under_way([f"pulling/{now:012d}/{gone}/0"], now - 60)
    assert not is_any_under_way([], now)
