"""A writer is killed at every system call, and every call that changes files fails.

The calls of SQLite's C code are among them. After each round: what was reported written reads bit
for bit, nothing is half there, the books are right, the same can be written again, and a
collection finds what is left by the writer's notes alone.
"""

import errno
import mmap
from collections.abc import Callable
from pathlib import Path

import pytest

from torchstash.cache import BackendError, DiskBackend, DiskMaintenance, FindingKind, Put
from torchstash.tests.cache.backend_contract import content
from torchstash.tests.faults.memory_folder import memory_folder
from torchstash.tests.faults.ptrace import needs_ptrace
from torchstash.tests.faults.some_calls import some
from torchstash.tests.faults.tracer import Act, Call, Decide, Outcome, trace

__all__ = ["memory_folder"]  # A fixture that pytest finds here.

pytestmark = needs_ptrace

State = dict[str, bytes]
Step = tuple[Callable[[DiskBackend], object], State]

_FIRST = {
    "inline": content(50, 1),
    "packed": content(5000, 1),
    "large": content(100_000, 1),
    "shrinks": content(80_000, 1),
    "grows": content(5, 1),
}
_SECOND = {
    "inline": content(60, 2),
    "packed": content(7000, 2),
    "large": content(120_000, 2),
    "shrinks": content(4, 2),
    "grows": content(90_000, 2),
}
_RENAMED = {**{k: v for k, v in _SECOND.items() if k != "large"}, "packed": _SECOND["large"]}
_DELETED = {k: v for k, v in _RENAMED.items() if k != "grows"}


def _commit(state: State) -> Callable[[DiskBackend], object]:
    return lambda store: store.commit(Put(key, value) for key, value in state.items())


STEPS: tuple[Step, ...] = (
    (_commit(_FIRST), _FIRST),
    (_commit(_SECOND), _SECOND),
    (lambda store: store.rename("large", "packed", replace=True), _RENAMED),
    (lambda store: store.delete("grows"), _DELETED),
)
STATES: tuple[State, ...] = ({}, *(state for _, state in STEPS))


class Round:
    """One writer that takes all steps, until something happens to it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # Shared with the child: how many steps it has reported.
        self._shared = mmap.mmap(-1, mmap.PAGESIZE)

    def run(self, decide: Decide, *, closes: bool = False) -> Outcome:
        """0: all was written; 1: a typed error, at which the writer ended."""

        def work() -> int:
            try:
                store = DiskBackend(self._path, durable=True)
                for number, (step, _) in enumerate(STEPS, 1):
                    step(store)
                    self._shared[0] = number
                if closes:
                    store.close()
            except BackendError:
                return 1
            return 0

        return trace(work, decide)

    def check(self) -> None:
        """What the docstring of this file promises."""
        reported = self._shared[0]
        allowed = STATES[reported : reported + 2]
        if not (self._path / "catalogue.sqlite3").exists():
            assert not reported
            return
        with DiskBackend(self._path, durable=True) as store:
            found = {key: store.get(key) for key in store.keys()}  # noqa: SIM118 - no dict
            assert found in allowed, (reported, sorted(found))
            self._is_sound()
            now = STATES.index(found)
            # Again what is there, so that contents without a file would be found out.
            store.commit(Put(key, value) for key, value in STATES[now].items())
            for step, state in STEPS[now:]:
                step(store)
                assert {key: store.get(key) for key in store.keys()} == state  # noqa: SIM118
        self._is_sound()
        with DiskMaintenance(self._path) as maintenance:
            maintenance.collect(grace_seconds=0)
            assert maintenance.collect(grace_seconds=0, audit=True).freed_bytes == 0
        assert list((self._path / "tmp").iterdir()) == []

    def _is_sound(self) -> None:
        with DiskMaintenance(self._path) as maintenance:
            findings = [*maintenance.audit(), *maintenance.check_contents()]
        assert [each for each in findings if each.kind is not FindingKind.STRAY_FILE] == []


def count_calls(memory_folder: Path) -> list[Call]:
    """The system calls of a writer to which nothing happens."""
    calls: list[Call] = []

    def decide(call: Call) -> Act:
        calls.append(call)
        return Act.GO_ON

    undisturbed = Round(memory_folder / "undisturbed")
    outcome = undisturbed.run(decide)
    assert outcome.exit_code == 0
    assert outcome.calls == len(calls)
    undisturbed.check()
    return calls


def test_killed_before_a_system_call(memory_folder: Path) -> None:
    for call in some(count_calls(memory_folder), 40):
        killed = Round(memory_folder / f"{call.index}")
        at = call.index
        killed.run(lambda now, at=at: Act.KILL if now.index == at else Act.GO_ON)  # type: ignore[misc]
        killed.check()


def test_killed_in_the_middle_of_a_write(memory_folder: Path) -> None:
    writes = [call for call in count_calls(memory_folder) if call.is_counted]
    for call in some(writes, 15):
        killed = Round(memory_folder / f"{call.index}")
        at = call.index
        killed.run(
            lambda now, at=at: Act.TEAR if now.index == at and now.is_counted else Act.GO_ON  # type: ignore[misc]
        )
        killed.check()


def test_a_write_that_is_cut_short(memory_folder: Path) -> None:
    writes = [call for call in count_calls(memory_folder) if call.is_counted]
    for call in some(writes, 15):
        short = Round(memory_folder / f"{call.index}")
        at = call.index
        outcome = short.run(
            lambda now, at=at: Act.SHORTEN if now.index == at and now.is_counted else Act.GO_ON  # type: ignore[misc]
        )
        # SQLite takes a short write for a full disk; we write the rest.
        assert outcome.exit_code in (0, 1)
        short.check()


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
@pytest.mark.parametrize("lasts", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("closes", [False, True], ids=["dies", "closes"])
def test_a_call_that_fails(memory_folder: Path, error: int, lasts: bool, closes: bool) -> None:
    changes = [call for call in count_calls(memory_folder) if call.name is not None]
    assert len(changes) > 50
    for call in some(changes, 10):
        failed = Round(memory_folder / f"{call.index}")
        at = call.index

        def decide(now: Call, at: int = at) -> Act | int:
            is_hit = now.index >= at if lasts else now.index == at
            return error if is_hit and now.name is not None else Act.GO_ON

        outcome = failed.run(decide, closes=closes)
        assert outcome.exit_code in (0, 1), f"{call}"
        failed.check()


def test_a_sync_that_fails_as_the_writer_commits(memory_folder: Path) -> None:
    """What was undone stays so: SQLite leaves in its log what it could not sync."""
    syncs = [call for call in count_calls(memory_folder) if call.name in ("fsync", "fdatasync")]
    assert len(syncs) > 10
    for call in syncs:
        failed = Round(memory_folder / f"{call.index}")
        at = call.index
        failed.run(lambda now, at=at: errno.EIO if now.index == at else Act.GO_ON)  # type: ignore[misc]
        failed.check()
