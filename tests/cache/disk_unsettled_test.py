"""A commit that failed and could not be undone: it comes about whole, or not at all.

The disk takes what goes into the packed file, and nothing of what SQLite writes, from one call on.
A writer that goes on there, and the next one, may use no byte that such a commit had put down.
"""

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from torchstash.cache import BackendError, CorruptEntryError, DiskBackend, DiskMaintenance, Put
from torchstash.cache.disk.packed_file import PackedFile
from torchstash.cache.disk.unsettled import Unsettled
from torchstash.tests.cache.backend_contract import content
from torchstash.tests.faults.memory_folder import memory_folder
from torchstash.tests.faults.ptrace import needs_ptrace
from torchstash.tests.faults.tracer import Act, Call, Decide, trace

__all__ = ["memory_folder"]  # A fixture that pytest finds here.

pytestmark = needs_ptrace

OLD = {"packed": content(5000, 1), "large": content(100_000, 1)}
NEW = {"packed": content(5000, 2), "large": content(100_000, 2)}
OTHER = {"packed": content(5000, 3), "large": content(100_000, 3)}
# What SQLite calls, and the engine does not.
_OF_SQLITE = ("pwrite64", "fdatasync")


def _commit(store: DiskBackend, state: dict[str, bytes]) -> None:
    store.commit(Put(key, value) for key, value in state.items())


def _write_on(path: Path, tries: list[dict[str, bytes]]) -> Callable[[], int]:
    """Writes one after the other, whatever becomes of each; 1: the first one failed."""

    def work() -> int:
        store = DiskBackend(path, durable=True)
        failed = 0
        for number, state in enumerate(tries):
            try:
                _commit(store, state)
            except BackendError:
                failed = failed or number == 0
        return int(failed)

    return work


def _fails_from(sync: int) -> Decide:
    left = [sync]

    def decide(call: Call) -> Act | int:
        left[0] -= call.name == "fdatasync"
        return errno.EIO if left[0] < 0 and call.name in _OF_SQLITE else Act.GO_ON

    return decide


def _syncs(path: Path) -> range:
    """The times that a writer to which nothing happens syncs what SQLite wrote."""
    with DiskBackend(path, durable=True) as store:
        _commit(store, OLD)
    found = [0]

    def decide(call: Call) -> Act:
        found[0] += call.name == "fdatasync"
        return Act.GO_ON

    assert trace(_write_on(path, [NEW]), decide).exit_code == 0
    return range(found[0])


def _check(path: Path, damaged: frozenset[str] = frozenset()) -> dict[str, bytes | None]:
    with DiskBackend(path, durable=True) as store:
        sound = set(store.keys()) - damaged
        found = {key: store.get(key) for key in sound}
        _commit(store, NEW)
        _commit(store, OTHER)
        assert {key: store.get(key) for key in store.keys()} == OTHER  # noqa: SIM118 - no dict
    with DiskMaintenance(path) as maintenance:
        maintenance.collect(grace_seconds=0)
        assert [*maintenance.audit(), *maintenance.check_contents()] == []
    assert list((path / "tmp").iterdir()) == []
    return found


@pytest.mark.parametrize(
    "tries", [[NEW, OTHER, OTHER], [NEW, NEW], [NEW, OTHER, OLD]], ids=["other", "same", "back"]
)
def test_a_writer_that_goes_on(memory_folder: Path, tries: list[dict[str, bytes]]) -> None:
    hit = 0
    for at in _syncs(memory_folder / "undisturbed"):
        path = memory_folder / f"{at}"
        with DiskBackend(path, durable=True) as store:
            _commit(store, OLD)
        hit += trace(_write_on(path, tries), _fails_from(at)).exit_code == 1
        assert _check(path) in (OLD, NEW)
    assert hit


def test_another_writer_that_dies_before_its_log_is_written(memory_folder: Path) -> None:
    hit = 0
    for at in _syncs(memory_folder / "undisturbed"):
        path = memory_folder / f"{at}"
        with DiskBackend(path, durable=True) as store:
            _commit(store, OLD)
        other, go_on = _other_writer(path)
        hit += trace(_write_on(path, [NEW]), _fails_from(at)).exit_code == 1
        os.write(go_on, b".")
        os.close(go_on)
        _, status = os.waitpid(other, 0)
        assert os.WIFSIGNALED(status)
        assert _check(path) in (OLD, NEW)
    assert hit


def test_where_not_even_a_note_can_be_made(
    memory_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then wrong bytes can come about. They are found, by name, and repaired by the next write."""
    monkeypatch.setattr(Unsettled, "note", lambda _: None)
    hit = 0
    for sync in _syncs(memory_folder / "undisturbed"):
        path = memory_folder / f"{sync}"
        with DiskBackend(path, durable=True) as store:
            _commit(store, OLD)
        trace(_write_on(path, [NEW, OTHER, OTHER]), _fails_from(sync))
        with DiskBackend(path, durable=True) as store, DiskMaintenance(path) as maintenance:
            [*found] = maintenance.check_contents()
            damaged = {key for each in found for key in each.keys}
            for key in store.keys():  # noqa: SIM118 - no dict
                if key in damaged:
                    with pytest.raises(CorruptEntryError):
                        store.get(key)
                else:
                    assert store.get(key) in (OLD[key], NEW[key])
            hit += damaged == {"packed"}
        assert _check(path, frozenset(damaged))
    assert hit


def _other_writer(path: Path) -> tuple[int, int]:
    """A process that has the store open, and what to write to for it to write and die."""
    opened, opens = os.pipe()
    waits, go_on = os.pipe()
    pid = os.fork()
    if pid:
        for end in (opens, waits):
            os.close(end)
        assert os.read(opened, 1) == b"."
        os.close(opened)
        return pid, go_on
    try:
        os.close(go_on)
        store = DiskBackend(path, durable=True)
        assert store.get("packed") is not None
        os.write(opens, b".")
        os.read(waits, 1)
        write = PackedFile.write

        def write_and_die(self: PackedFile, extents: list[tuple[int, bytes]]) -> None:
            write(self, extents)
            os.kill(os.getpid(), signal.SIGKILL)

        PackedFile.write = write_and_die  # type: ignore[assignment,method-assign]
        _commit(store, OTHER)
    finally:
        os._exit(1)
