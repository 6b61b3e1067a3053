"""Writers that are killed: at random moments, and at every step that a write makes."""

import os
import random
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from torchstash.cache import Digest, DiskBackend, Put
from torchstash.tests.cache.backend_contract import content
from torchstash.tests.cache.disk_stores import PACKED_MAX_BYTES, blob_files

_ROUNDS = 200
_ROUNDS_PER_STORE = 20
_COMMITS = 100
_LATEST_KILL_SECONDS = 0.005
_SIZES = [0, 1, 100, 5000, PACKED_MAX_BYTES, PACKED_MAX_BYTES + 1, 100_000, 300_000]

_Commit = dict[str, bytes]


def _commits(rng: random.Random) -> list[_Commit]:
    """What a writer is to write: names are written again and again, and contents recur."""
    return [
        {
            f"name/{rng.randrange(12)}": content(rng.choice(_SIZES), rng.randrange(5))
            for _ in range(rng.choice([1, 1, 3]))
        }
        for _ in range(_COMMITS)
    ]


def _check_and_go_on(path: Path, allowed: list[_Commit]) -> _Commit:
    """The store holds one of `allowed`, whole; it can be written at once; a sweep tidies it."""
    with DiskBackend(path) as store:
        found = {key: store.get(key) for key in store.keys()}  # noqa: SIM118 - no dict
        assert found in allowed
        kept = {key: value for key, value in found.items() if value is not None}
        for size_bytes in (10, PACKED_MAX_BYTES + 10):
            fresh = os.urandom(size_bytes)
            store.put("fresh", fresh)
            assert store.get("fresh") == fresh
        assert store.delete("fresh")
        store.sweep(grace_seconds=0)
        files = {file.name for file in blob_files(store)}
        large = {value for value in kept.values() if len(value) > PACKED_MAX_BYTES}
        assert files == {Digest.of(value).hex for value in large}
        assert list((path / "tmp").iterdir()) == []
        assert store.stats().stored_bytes == sum(map(len, set(kept.values())))
    return kept


def _fork_writer(path: Path, commits: list[_Commit], *, durable: bool) -> tuple[int, int]:
    """A child that makes the commits and reports each that returned by one byte."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    try:
        os.close(reader)
        store = DiskBackend(path, durable=durable)
        for commit in commits:
            store.commit(Put(key, value) for key, value in commit.items())
            os.write(writer, b".")
    finally:
        os._exit(0)


def test_200_writers_killed_at_random_moments(tmp_path: Path) -> None:
    seed = int.from_bytes(os.urandom(4), "little")
    print(f"seed {seed}")  # noqa: T201 - to run a failure again
    rng = random.Random(seed)
    killed_while_writing = 0
    for turn in range(_ROUNDS):
        path = tmp_path / f"{turn // _ROUNDS_PER_STORE}"
        if turn % _ROUNDS_PER_STORE == 0:
            state: _Commit = {}
        commits = _commits(rng)
        pid, reader = _fork_writer(path, commits, durable=turn % 2 == 1)
        with os.fdopen(reader, "rb") as pipe:
            # However slow this machine is, the moment lies all over what the writer does.
            reported = len(pipe.read(max(0, rng.randrange(-20, _COMMITS))))
            time.sleep(rng.uniform(0, _LATEST_KILL_SECONDS))
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            reported += len(pipe.read())
        for commit in commits[:reported]:
            state = state | commit
        allowed = [state]
        if reported < _COMMITS:
            allowed.append(state | commits[reported])
            killed_while_writing += reported > 0
        state = _check_and_go_on(path, allowed)
    print(f"{killed_while_writing} of {_ROUNDS} between the first commit and the last")  # noqa: T201
    assert killed_while_writing >= _ROUNDS // 4


class _Death:
    """Kills this process at the n-th step that it takes."""

    def __init__(self, step: int) -> None:
        self._left = step

    def step(self, *_: object) -> None:
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1

    def before(self, function: Callable[..., object]) -> Callable[..., object]:
        def wrapper(*args: object, **kwargs: object) -> object:
            self.step()
            return function(*args, **kwargs)

        return wrapper


def _die_at(step: int, path: Path, commit: _Commit) -> bool:
    """Commit in a child that dies before its n-th system call or statement; whether it did."""
    pid = os.fork()
    if pid:
        _, status = os.waitpid(pid, 0)
        assert status in (0, signal.SIGKILL)
        return status != 0
    death = _Death(step)
    connect = sqlite3.connect

    def traced(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **kwargs)
        connection.set_trace_callback(death.step)
        return connection

    sqlite3.connect = traced  # type: ignore[assignment]
    for name in ("write", "pwritev", "rename", "unlink", "fsync", "open", "mkdir", "close"):
        setattr(os, name, death.before(getattr(os, name)))
    status = 1
    try:
        store = DiskBackend(path, durable=True)
        store.commit(Put(key, value) for key, value in commit.items())
        status = 0
    finally:
        os._exit(status)


@pytest.mark.parametrize("is_new", [True, False])
def test_a_writer_killed_at_every_step(tmp_path: Path, is_new: bool) -> None:
    old = {
        "inline": content(50, 1),
        "large": content(100_000, 1),
        "shrinks": content(80_000, 1),
        "grows": content(5, 1),
    }
    new = {
        "inline": content(60, 2),
        "large": content(120_000, 2),
        "shrinks": content(4, 2),
        "grows": content(90_000, 2),
    }
    outcomes: list[bool] = []
    for step in range(1000):
        path = tmp_path / f"{step}"
        state: _Commit = {}
        if not is_new:
            state = old
            with DiskBackend(path) as store:
                store.commit(Put(key, value) for key, value in old.items())
        died = _die_at(step, path, new)
        found = _check_and_go_on(path, [state, new])
        outcomes.append(found == new)
        if not died:
            assert found == new
            break
    # Every death before some step leaves the old state, and every later one the new.
    assert outcomes == sorted(outcomes)
    assert outcomes.count(False) > 20
    assert outcomes.count(True) > (0 if is_new else 2)
