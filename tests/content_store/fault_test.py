"""Tensors and state dicts of a writer that is killed, or whose system calls fail, threads included.

What was reported written reads bit for bit, nothing is half there, `verify` finds nothing, and the
same can be written again.
"""

import errno
import mmap
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from torchstash.content_store import (
    ContentStoreError,
    ContentStoreMaintenance,
    ContentStoreReader,
    ContentStoreWriter,
    MissingStoreError,
)
from torchstash.tests.faults.memory_folder import memory_folder
from torchstash.tests.faults.ptrace import needs_ptrace
from torchstash.tests.faults.some_calls import some
from torchstash.tests.faults.tracer import Act, Call, Decide, Outcome, trace

__all__ = ["memory_folder"]  # A fixture that pytest finds here.

pytestmark = needs_ptrace

# Two that several threads write, one that is packed, one that lies in the catalogue.
MANY = {"x": torch.arange(40_000.0), "y": torch.arange(50_000) + 1, "z": torch.arange(999.0)}
WEIGHT = MANY["x"] + 1
STATE = {"w": WEIGHT, "tied": [MANY["z"]], "step": 3}
ONE = torch.arange(70_000.0).reshape(2, -1).t()

STEPS: tuple[Callable[[ContentStoreWriter], object], ...] = (
    lambda writer: writer.write_tensor("x", ONE),
    lambda writer: writer.write_tensors(MANY),
    lambda writer: writer.save_state_dict("run/1", STATE),
    lambda writer: writer.rename_tensor("x", "y", replace=True),
    lambda writer: writer.delete_snapshot("run/1"),
)
TENSORS: tuple[dict[str, torch.Tensor], ...] = (
    {},
    {"x": ONE},
    MANY,
    MANY,
    {"y": MANY["x"], "z": MANY["z"]},
)
HAS_SNAPSHOT = (False, False, False, True, True, False)


def state_after(steps: int) -> tuple[dict[str, torch.Tensor], bool]:
    return TENSORS[min(steps, len(TENSORS) - 1)], HAS_SNAPSHOT[steps]


def is_in(location: Path, steps: int) -> bool:
    """Whether the store holds exactly what is there after so many steps; reads all of it."""
    tensors, has_snapshot = state_after(steps)
    with ContentStoreReader(location, cache=False) as reader:
        if list(reader.names()) != sorted(tensors) or len(list(reader.snapshots())) != has_snapshot:
            return False
        if has_snapshot:
            loaded = reader.load_state_dict("run/1")
            assert torch.equal(loaded["w"], WEIGHT)
            assert torch.equal(loaded["tied"][0], MANY["z"])
        return all(torch.equal(reader.read_tensor(name), t) for name, t in tensors.items())


def disturbed(location: Path, decide: Decide) -> tuple[Outcome, int]:
    """A writer that takes all steps until something happens; and how many it has reported."""
    shared = mmap.mmap(-1, mmap.PAGESIZE)

    def work() -> int:
        torch.set_num_threads(1)  # PyTorch's own threads did not cross the fork.
        try:
            writer = ContentStoreWriter(location)
            for number, step in enumerate(STEPS, 1):
                step(writer)
                shared[0] = number
        except ContentStoreError:
            return 1
        return 0

    return trace(work, decide), shared[0]


def check(location: Path, reported: int) -> None:
    try:
        possible = [n for n in (reported, reported + 1) if n <= len(STEPS) and is_in(location, n)]
    except MissingStoreError:
        assert not reported
        possible = [0]
    assert possible, reported
    with ContentStoreWriter(location) as writer:
        for step in STEPS[possible[0] :]:
            step(writer)
    assert is_in(location, len(STEPS))
    maintenance = ContentStoreMaintenance(location)
    assert list(maintenance.verify()) == []
    maintenance.gc(grace_seconds=0)
    assert maintenance.gc(grace_seconds=0, audit=True).freed_bytes == 0


def count_calls(location: Path) -> list[Call]:
    """The system calls of a writer to which nothing happens; its threads take turns anyhow."""
    calls: list[Call] = []

    def decide(call: Call) -> Act:
        calls.append(call)
        return Act.GO_ON

    outcome, reported = disturbed(location, decide)
    assert outcome.exit_code == 0
    assert reported == len(STEPS)
    check(location, reported)
    return calls


def test_killed_writers(memory_folder: Path) -> None:
    for call in some(count_calls(memory_folder / "undisturbed"), 12):
        location = memory_folder / f"{call.index}"
        at = call.index
        _, reported = disturbed(location, lambda now, at=at: _kill(now, at))  # type: ignore[misc]
        check(location, reported)
        shutil.rmtree(location)


def _kill(now: Call, at: int) -> Act:
    return Act.KILL if now.index >= at else Act.GO_ON


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
@pytest.mark.parametrize("lasts", [False, True], ids=["once", "from then on"])
def test_failing_calls(memory_folder: Path, error: int, lasts: bool) -> None:
    calls = count_calls(memory_folder / "undisturbed")
    for call in some([call for call in calls if call.name is not None], 3):
        location = memory_folder / f"{call.index}"
        hit = [0]

        def decide(now: Call, at: int = call.index, hit: list[int] = hit) -> Act | int:
            if now.index < at or now.name is None or (hit[0] and not lasts):
                return Act.GO_ON
            hit[0] += 1
            return error

        outcome, reported = disturbed(location, decide)
        assert outcome.exit_code in (0, 1)
        check(location, reported)
        shutil.rmtree(location)
