"""A process is known for as long as it lives, and taken for gone only where that is certain."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from torchstash.content_store import process_identity
from torchstash.content_store.process_identity import (
    UNKNOWN,
    is_gone,
    is_running,
    own_identity,
)


def identity_of_a_child(*, alive: bool) -> tuple[str, int]:
    """What a forked child tells of itself; it waits to be killed, or has ended unreaped."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, own_identity().encode())
        os.close(write)
        if alive:
            signal.pause()
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        return pipe.read(), pid


def test_who_lives_is_not_gone() -> None:
    assert own_identity() == own_identity()
    assert not is_gone(own_identity())
    assert is_running(own_identity())
    identity, pid = identity_of_a_child(alive=True)
    assert identity != own_identity()
    assert not is_gone(identity)
    assert is_running(identity)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert is_gone(identity)
    assert not is_running(identity)


def test_who_has_ended_and_was_not_waited_for_is_gone() -> None:
    identity, pid = identity_of_a_child(alive=False)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert is_gone(identity)
    os.waitpid(pid, 0)


def test_a_number_that_is_used_again_is_another_process() -> None:
    place, number, started = own_identity().split("-")
    assert is_gone(f"{place}-{number}-{int(started) - 1}")


@pytest.mark.parametrize("identity", [UNKNOWN, "", "-", "a-b-c", "0123.45-1-1"])
def test_nobody_is_taken_for_gone_who_ran_elsewhere(identity: str) -> None:
    assert not is_gone(identity)
    assert not is_running(identity)


def test_another_interpreter_tells_the_same_place() -> None:
    path = os.pathsep.join(entry for entry in sys.path if entry)
    program = "from torchstash.content_store.process_identity import own_identity as o; print(o())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": path},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split("-")[0] == own_identity().split("-")[0]
    assert is_gone(done.stdout.strip())


def test_a_system_that_tells_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = own_identity()
    monkeypatch.setattr(process_identity, "_PROC", tmp_path)
    assert own_identity() == UNKNOWN
    assert not is_gone(before)
