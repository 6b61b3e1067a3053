"""A transfer that ends at any step has lost nothing, shows nothing half, and goes on.

Every step of the other side fails in turn, and a store's writer is killed at random moments.
"""

import itertools
import os
import random
import signal
import time
from pathlib import Path

import pytest

from torchstash.cache import BackendUnreachableError, DiskBackend
from torchstash.content_store import (
    ContentStoreReader,
    ExistsError,
    NotInStoreError,
    PlaceUnavailableError,
)
from torchstash.content_store.movement import clone, pull, push, remote
from torchstash.content_store.movement.layout import record_key
from torchstash.tests.content_store.movement.backends import Asking, FailingAt, Folder, Tearing
from torchstash.tests.content_store.movement.movable_store import assert_moved, fill

SEED = 20261124
ROUNDS = 8
MAX_PAUSE_SECONDS = 0.15


def assert_every_name_is_whole(backend: Asking, folder: Path) -> None:
    """Each name that shows can be pulled."""
    names = [key for key in backend.values if key.startswith(record_key(""))]
    if any("/contents/" not in key for key in names):
        before = backend.before
        backend.before = lambda _: None
        pull(folder, backend)
        backend.before = before


def test_a_push_that_fails_at_any_step_goes_on(tmp_path: Path) -> None:
    tensors = fill(tmp_path / "a")
    whole = Asking(FailingAt(10**9))
    moved_bytes = push(tmp_path / "a", whole, threads=1).moved_bytes
    steps = whole.before.steps  # type: ignore[attr-defined]
    assert steps > 30
    for step in range(steps):
        backend = Asking(FailingAt(step))
        with pytest.raises(PlaceUnavailableError, match="call again to go on"):
            push(tmp_path / "a", backend, threads=1)
        there_bytes = sum(
            len(value) for key, value in backend.values.items() if "/contents/" in key
        )
        if step % 6 == 0:
            assert_every_name_is_whole(backend, tmp_path / f"seen-{step}")
        report = push(tmp_path / "a", backend, threads=1)
        assert report.moved_bytes == moved_bytes - there_bytes
        assert backend.values == whole.values
    pull(tmp_path / "b", whole)
    assert_moved(tmp_path / "b", tensors)


def test_a_pull_that_fails_at_any_step_goes_on(tmp_path: Path) -> None:
    tensors = fill(tmp_path / "a")
    backend = Asking()
    push(tmp_path / "a", backend)
    counting = FailingAt(10**9)
    backend.before = counting
    moved_bytes = pull(tmp_path / "whole", backend, threads=1).moved_bytes
    for step in range(counting.steps):
        folder = tmp_path / f"b-{step}"
        backend.before = FailingAt(step)
        with pytest.raises(PlaceUnavailableError, match="call again to go on"):
            pull(folder, backend, threads=1)
        with ContentStoreReader(folder) as reader:
            for name in reader.names():
                reader.read_tensor(name)
        backend.before = lambda _: None
        report = pull(folder, backend, threads=1)
        assert report.moved_bytes <= moved_bytes
        assert_moved(folder, tensors)
        with DiskBackend(folder) as store:
            assert not list(store.keys("pulls/"))


def test_a_fault_that_passes_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(remote, "sleep", waits.append)
    tensors = fill(tmp_path / "a", with_large=False)
    backend = Asking()
    operations = itertools.count()

    def fail_often(_: str) -> None:
        if next(operations) % 3:
            raise BackendUnreachableError("a restart, says the test")

    backend.before = fail_often
    push(tmp_path / "a", backend, threads=1)
    backend.before = lambda _: None
    pull(tmp_path / "b", backend)
    assert_moved(tmp_path / "b", tensors)
    assert set(waits) == set(remote.WAITS_SECONDS[:2])


def test_a_clone_that_failed_goes_on(tmp_path: Path) -> None:
    tensors = fill(tmp_path / "a", with_large=False)
    backend = Asking()
    push(tmp_path / "a", backend)
    backend.before = FailingAt(12)
    with pytest.raises(PlaceUnavailableError):
        clone(backend, tmp_path / "b")
    clone(backend, tmp_path / "b")
    assert_moved(tmp_path / "b", tensors)
    with pytest.raises(ExistsError):
        clone(backend, tmp_path / "b")
    with DiskBackend(tmp_path / "b") as store:
        assert not list(store.keys("c"))


def test_parts_of_large_contents_are_not_fetched_again(tmp_path: Path) -> None:
    tensors = fill(tmp_path / "a")
    backend = Asking()
    push(tmp_path / "a", backend, names=["large"])
    whole_bytes = 17 << 20
    # The record, and the one of a snapshot that is not there; then a part.
    backend.before = FailingAt(3)
    with pytest.raises(PlaceUnavailableError, match="'large'"):
        pull(tmp_path / "b", backend, names=["large"], threads=1)
    backend.before = lambda _: None
    report = pull(tmp_path / "b", backend, names=["large"])
    assert report.moved_bytes == whole_bytes - (8 << 20)
    with ContentStoreReader(tmp_path / "b") as reader:
        assert reader.read_tensor("large").equal(tensors["large"])


def test_half_a_value_is_put_again_where_puts_may_tear(tmp_path: Path) -> None:
    tensors = fill(tmp_path / "a")
    backend = Tearing()
    push(tmp_path / "a", backend)
    torn = [key for key in backend.values if "/contents/" in key]
    for key in list(backend.values):
        if "/contents/" not in key:
            del backend.values[key]
    for key in torn:
        backend.values[key] = backend.values[key][:-1]
    push(tmp_path / "a", backend)
    pull(tmp_path / "b", backend)
    assert_moved(tmp_path / "b", tensors)


@pytest.mark.parametrize("way", ["push", "pull", "push to a store"])
def test_a_killed_transfer_goes_on(way: str, tmp_path: Path) -> None:
    tensors = fill(tmp_path / "a")
    random_pause = random.Random(SEED)
    kills = 0
    for round_number in range(ROUNDS):
        folder = tmp_path / f"{round_number}"
        if way == "pull":
            push(tmp_path / "a", Folder(folder / "remote"))

        def move(folder: Path = folder) -> None:
            if way == "push":
                push(tmp_path / "a", Folder(folder / "remote"))
            elif way == "pull":
                pull(folder / "b", Folder(folder / "remote"))
            else:
                push(tmp_path / "a", folder / "b")

        kills += _killed(move, random_pause.random() * MAX_PAUSE_SECONDS)
        move()
        if way == "push":
            pull(folder / "b", Folder(folder / "remote"))
        assert_moved(folder / "b", tensors)
        with DiskBackend(folder / "b") as store:
            assert not list(store.keys("pulls/"))
    assert kills


def _killed(move: object, pause_seconds: float) -> bool:
    """Run it in a child, and kill that after a while; whether it was still running."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, b"x")
        try:
            move()  # type: ignore[operator]
        except NotInStoreError:
            pass
        finally:
            os._exit(0)
    os.read(reading, 1)
    os.close(reading)
    os.close(writing)
    time.sleep(pause_seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)
