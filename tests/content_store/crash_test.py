"""`kill -9` at any moment of a write loses nothing that was reported, and blocks nothing.

A parent forks writers, which report over a pipe the names that they have written, and
kills each at a random moment of a write. After each round it looks at all names: what was reported
is there bit for bit, what was not is absent or whole, and the next writer writes at once.
"""

import os
import random
import time
from pathlib import Path

import torch

from torchstash.cache.disk import DiskBackend
from torchstash.content_store import ContentStoreReader, ContentStoreWriter
from torchstash.tests.content_store.killed_writers import READY, one_round

ROUNDS = 200
SEED = 20240607
NAMES = 6
# In the catalogue; just in a file; large enough that many kills fall into its writing.
ELEMENTS = (100, 20_000, 300_000)
# Nobody waits for a dead writer. Generous: a slow machine is not a blocked store.
WRITE_DEADLINE_SECONDS = 30.0
MAX_PAUSE_SECONDS = 0.1


def contents(version: int, slot: int) -> torch.Tensor:
    """What a version of a name holds; every second version of a slot shares its bytes."""
    return torch.arange(ELEMENTS[slot % len(ELEMENTS)]) + 1000 * (version // 2) + slot


def write_until_killed(location: Path, first_version: int, report: int) -> None:
    with ContentStoreWriter(location) as writer:
        os.write(report, READY)
        for version in range(first_version, first_version + 1000):
            for slot in range(NAMES):
                writer.write_tensor(str(slot), contents(version, slot))
                os.write(report, f"{slot} {version}\n".encode())


def write_together_until_killed(location: Path, first_version: int, report: int) -> None:
    """Reports slot 0 for a state dict, and slot 1 for tensors that were written in one commit."""
    with ContentStoreWriter(location) as writer:
        os.write(report, READY)
        for version in range(first_version, first_version + 1000):
            state = state_dict(version)
            writer.save_state_dict("state", state)
            os.write(report, f"0 {version}\n".encode())
            writer.write_tensors(state)
            os.write(report, f"1 {version}\n".encode())


def state_dict(version: int) -> dict[str, torch.Tensor]:
    return {str(slot): contents(version, slot) for slot in range(NAMES)}


def rehearsed_seconds(location: Path) -> float:
    """How long a warm writer takes here to write every name: the kills fall into that span."""
    with ContentStoreWriter(location) as writer:
        for version in range(0, 4, 2):
            started = time.monotonic()
            for slot in range(NAMES):
                writer.write_tensor(str(slot), contents(version, slot))
    return time.monotonic() - started


def test_killed_writers(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    print(f"seed {SEED}")  # noqa: T201 - to repeat a failure
    location = tmp_path / "store"
    reported: dict[int, int] = {}
    version = 0
    total = 0
    span_seconds = min(MAX_PAUSE_SECONDS, rehearsed_seconds(tmp_path / "rehearsal"))
    ContentStoreWriter(location).close()
    for round_number in range(ROUNDS):
        version += 1
        finished = one_round(location, version, chance.uniform(0, span_seconds), write_until_killed)
        total += len(finished)
        reported.update(finished)
        attempted = max([version, *(v + 1 for _, v in finished)])
        with ContentStoreReader(location, verify=True) as reader:
            check(reader, reported, attempted, round_number)
        version = attempted + 1

        # The same names can be written at once.
        slot = round_number % NAMES
        started = time.monotonic()
        with ContentStoreWriter(location) as writer:
            writer.write_tensor(str(slot), contents(version, slot))
        assert time.monotonic() - started < WRITE_DEADLINE_SECONDS
        reported[slot] = version

    assert total > ROUNDS // 4, "too few writes finished for the kills to mean anything"
    with DiskBackend(location) as backend:
        backend.sweep(grace_seconds=0)
    assert not any((location / "tmp").iterdir())
    with ContentStoreReader(location) as reader:
        check(reader, reported, version, ROUNDS)


def test_killed_writers_of_many_at_once(tmp_path: Path) -> None:
    """A state dict, and tensors that were written together, are of one version, whole."""
    chance = random.Random(SEED)
    location = tmp_path / "store"
    reported: dict[int, int] = {}
    version = 0
    span_seconds = min(MAX_PAUSE_SECONDS, rehearsed_seconds(tmp_path / "rehearsal"))
    ContentStoreWriter(location).close()
    for round_number in range(ROUNDS // 4):
        version += 1
        pause_seconds = chance.uniform(0, span_seconds)
        # However slow this machine is, the moment lies all over what the writer does.
        reports = chance.randrange(4)
        finished = one_round(location, version, pause_seconds, write_together_until_killed, reports)
        reported.update(finished)
        attempted = max([version, *(v + 1 for _, v in finished)])
        with ContentStoreReader(location, verify=True) as reader:
            check_together(reader, reported, attempted, round_number)
        version = attempted
    assert set(reported) == {0, 1}
    with DiskBackend(location) as backend:
        backend.sweep(grace_seconds=0)
    with ContentStoreWriter(location) as writer:
        assert writer.delete_snapshot("state")
        for slot in range(NAMES):
            assert writer.delete_tensor(str(slot))
    with DiskBackend(location) as backend:
        backend.sweep(grace_seconds=0)
        assert backend.stats().stored_bytes == 0
    assert not any(path.is_file() for path in (location / "blobs").rglob("*"))
    assert not any((location / "tmp").iterdir())
    assert (location / "packed.bin").stat().st_size == 0


def check_together(
    reader: ContentStoreReader, reported: dict[int, int], newest: int, round_number: int
) -> None:
    found = {}
    if "state" in list(reader.snapshots()):
        found[0] = reader.load_state_dict("state")
    if list(reader.names()):
        found[1] = reader.read_tensors(map(str, range(NAMES)))
    assert set(found) >= set(reported), f"round {round_number}"
    for kind, state in found.items():
        versions = range(reported.get(kind, 0), newest + 1)
        assert any(
            all(torch.equal(state[name], tensor) for name, tensor in state_dict(v).items())
            for v in versions
        ), f"round {round_number}: {kind} is of no version from {versions}"


def check(
    reader: ContentStoreReader, reported: dict[int, int], newest: int, round_number: int
) -> None:
    """Each name is a version that was reported last, or a later one that was attempted."""
    names = set(reader.names())
    assert names >= {str(slot) for slot in reported}, f"round {round_number}"
    for name in names:
        slot = int(name)
        read = reader.read_tensor(name)
        candidates = range(reported.get(slot, 0), newest + 1)
        assert any(torch.equal(read, contents(v, slot)) for v in candidates), (
            f"round {round_number}: {name} is neither what was reported ({reported.get(slot)}) "
            f"nor a later version up to {newest}"
        )
