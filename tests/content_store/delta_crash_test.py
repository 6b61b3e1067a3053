"""`kill -9` at any moment of a save against a base: the old version or the new one, whole."""

import os
import random
from pathlib import Path

import torch

from torchstash.cache.disk import DiskBackend
from torchstash.content_store import ContentStoreReader, ContentStoreWriter
from torchstash.tests.content_store.killed_writers import READY, one_round

ROUNDS = 40
SEED = 20240607
# In the catalogue as a delta, in the packed file, in a file of its own.
ELEMENTS = (2000, 60_000, 2_000_000)
MAX_PAUSE_SECONDS = 0.1


def contents(version: int) -> list[torch.Tensor]:
    """Of each version some elements differ from the one before."""
    state = []
    for elements in ELEMENTS:
        tensor = torch.arange(elements, dtype=torch.int32) * 2_654_435_761 % 251
        tensor[:: 97 + version % 7] += version
        state.append(tensor)
    return state


def save_until_killed(location: Path, first_version: int, report: int) -> None:
    """Overwrites one snapshot against itself, and another against it."""
    with ContentStoreWriter(location) as writer:
        os.write(report, READY)
        for version in range(first_version, first_version + 1000):
            writer.save_state_dict("0", contents(version), base="0")
            os.write(report, f"0 {version}\n".encode())
            writer.save_state_dict("1", contents(version), base="0")
            os.write(report, f"1 {version}\n".encode())


def test_killed_writers(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    location = tmp_path / "store"
    with ContentStoreWriter(location) as writer:
        for name in ("0", "1"):
            writer.save_state_dict(name, contents(0))
    reported = {0: 0, 1: 0}
    version = 0
    for round_number in range(ROUNDS):
        pause_seconds = chance.uniform(0, MAX_PAUSE_SECONDS)
        reports = chance.randrange(3)
        finished = one_round(location, version + 1, pause_seconds, save_until_killed, reports)
        reported.update(finished)
        newest = max([version, *(v for _, v in finished)]) + 1
        with ContentStoreReader(location) as reader:
            for slot, oldest in reported.items():
                loaded = reader.load_state_dict(str(slot))
                assert any(
                    all(map(torch.equal, loaded, contents(v))) for v in range(oldest, newest + 1)
                ), f"round {round_number}: {slot} is of no version from {oldest} to {newest}"
        version = newest
    assert min(reported.values()) > 0
    with DiskBackend(location) as backend, ContentStoreWriter(location) as writer:
        backend.sweep(grace_seconds=0)
        assert list((location / "tmp").iterdir()) == []
        writer.delete_snapshot("0")
        writer.delete_snapshot("1")
        backend.sweep(grace_seconds=0)
        assert backend.stats().stored_bytes == 0
    assert not any(path.is_file() for path in (location / "blobs").rglob("*"))
