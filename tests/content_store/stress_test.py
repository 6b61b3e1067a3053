"""Eight writers, four readers, and processes that delete, rename, collect and verify, all at once.

Every read is bit-exact or Missing: a value says itself which one it is. More, for minutes, with
TORCHSTASH_TEST_EFFORT.
"""

import multiprocessing
import random
from collections.abc import Callable
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Barrier
from pathlib import Path

import torch

from torchstash.content_store import (
    ContentStoreMaintenance,
    ContentStoreReader,
    ContentStoreWriter,
    MissingSnapshotError,
    MissingTensorError,
    NameTakenError,
    NotInStoreError,
)
from torchstash.tests.faults.effort import effort

CONTEXT = multiprocessing.get_context("fork")
WRITERS, READERS = 8, 4
ROUNDS = effort(25)
NAMES = [f"name/{i}" for i in range(6)]
# In the catalogue, in the packed file, in files.
ELEMENTS = (40, 1000, 5000, 20_000)

Work = Callable[[Path, random.Random, "Synchronized[int]"], None]


def contents(version: int) -> torch.Tensor:
    """What a version is; few enough versions that writers meet over their contents."""
    return torch.arange(ELEMENTS[version % len(ELEMENTS)]) * (version + 1) + version


def check(tensor: torch.Tensor) -> None:
    version = int(tensor[0])
    assert torch.equal(tensor, contents(version)), version


def write(location: Path, chance: random.Random, writing: "Synchronized[int]") -> None:
    with ContentStoreWriter(location) as writer:
        for _ in range(ROUNDS):
            version = chance.randrange(12)
            match chance.randrange(3):
                case 0:
                    writer.write_tensor(chance.choice(NAMES), contents(version))
                case 1:
                    writer.write_tensors(
                        {name: contents(version + 1) for name in chance.sample(NAMES, 3)}
                    )
                case _:
                    state = {"a": contents(version), "b": [contents(version + 2)]}
                    writer.save_state_dict(chance.choice(NAMES), state)
    with writing.get_lock():
        writing.value -= 1


def read(location: Path, chance: random.Random, writing: "Synchronized[int]") -> None:
    found = missing = 0
    with ContentStoreReader(location, cache=chance.random() < 0.5) as reader:
        while writing.value or not found:
            name = chance.choice(NAMES)
            try:
                if chance.random() < 0.5:
                    check(reader.read_tensor(name))
                else:
                    state = reader.load_state_dict(name)
                    check(state["a"])
                    check(state["b"][0])
                found += 1
            except (MissingTensorError, MissingSnapshotError):
                missing += 1
            if not writing.value and missing > 1000:
                return  # Everything was deleted at the end.


def delete_and_rename(location: Path, chance: random.Random, writing: "Synchronized[int]") -> None:
    with ContentStoreWriter(location) as writer:
        while writing.value:
            name, other = chance.sample(NAMES, 2)
            match chance.randrange(4):
                case 0:
                    writer.delete_tensor(name)
                case 1:
                    writer.delete_snapshot(name)
                case 2:
                    try:
                        writer.rename_tensor(name, other, replace=chance.random() < 0.5)
                    except (NotInStoreError, NameTakenError):
                        continue
                case _:
                    try:
                        writer.rename_snapshot(name, other, replace=chance.random() < 0.5)
                    except (NotInStoreError, NameTakenError):
                        continue


def collect(location: Path, chance: random.Random, writing: "Synchronized[int]") -> None:
    maintenance = ContentStoreMaintenance(location)
    while writing.value:
        # A minute is longer than any write here takes.
        maintenance.gc(grace_seconds=60, audit=chance.random() < 0.5)


def verify(location: Path, chance: random.Random, writing: "Synchronized[int]") -> None:
    maintenance = ContentStoreMaintenance(location)
    while writing.value:
        assert list(maintenance.verify()) == []


def run(
    work: Work, location: Path, start: Barrier, seed: int, writing: "Synchronized[int]"
) -> None:
    torch.set_num_threads(1)  # PyTorch's own threads did not cross the fork.
    start.wait()
    work(location, random.Random(seed), writing)


def test_all_at_once(tmp_path: Path) -> None:
    location = tmp_path / "store"
    ContentStoreWriter(location).close()
    works: list[Work] = [*[write] * WRITERS, *[read] * READERS, delete_and_rename, collect, verify]
    start = CONTEXT.Barrier(len(works))
    writing = CONTEXT.Value("i", WRITERS)
    first_seed = random.randrange(1 << 30)
    print(f"seed {first_seed}")  # noqa: T201 - to run it again
    processes = [
        CONTEXT.Process(target=run, args=(work, location, start, first_seed + i, writing))
        for i, work in enumerate(works)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * len(works)
    maintenance = ContentStoreMaintenance(location)
    assert list(maintenance.verify()) == []
    left = maintenance.gc(grace_seconds=0, audit=True)
    assert (left.orphan_files, left.temporary_files) == (0, 0)
    assert list((location / "tmp").iterdir()) == []
