"""Writers and readers of several processes on the same names and contents."""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path

import torch

from torchstash.cache.disk import DiskBackend
from torchstash.content_store import ContentStoreReader, ContentStoreWriter, MissingTensorError

CONTEXT = multiprocessing.get_context("fork")
Work = Callable[[Path, Barrier, int], None]
WRITERS, READERS, ROUNDS, NAMES = 3, 2, 15, 4


def contents(version: int) -> torch.Tensor:
    """In the catalogue for even versions, in a file for odd ones; the same for all writers."""
    return torch.full((100 if version % 2 == 0 else 20_000,), version)


def write_all(location: Path, start: Barrier, seed: int) -> None:
    torch.set_num_threads(1)
    start.wait()
    with ContentStoreWriter(location) as writer:
        for version in range(ROUNDS):
            for i in range(NAMES):
                writer.write_tensor(str((i + seed) % NAMES), contents(version))


def read_all(location: Path, start: Barrier, seed: int) -> None:
    torch.set_num_threads(1)
    start.wait()
    with ContentStoreReader(location, cache=bool(seed % 2)) as reader:
        seen = 0
        while seen < 200:
            for i in range(NAMES):
                try:
                    read = reader.read_tensor(str(i))
                except MissingTensorError:
                    continue
                seen += 1
                version = int(read[0])
                assert torch.equal(read, contents(version)), version


def write_one(location: Path, start: Barrier, seed: int) -> None:
    torch.set_num_threads(1)
    with ContentStoreWriter(location) as writer:
        start.wait()
        writer.write_tensor(f"of{seed}", torch.arange(500_000))


def together(location: Path, works: Sequence[Work]) -> None:
    start = CONTEXT.Barrier(len(works))
    processes = [
        CONTEXT.Process(target=work, args=(location, start, i)) for i, work in enumerate(works)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * len(works)


def blob_files(location: Path) -> list[Path]:
    return [path for path in (location / "blobs").rglob("*") if path.is_file()]


def test_writers_and_readers_of_the_same_names(tmp_path: Path) -> None:
    location = tmp_path / "store"
    ContentStoreWriter(location).close()
    together(location, [write_all] * WRITERS + [read_all] * READERS)
    with ContentStoreReader(location) as reader:
        assert list(reader.names()) == [str(i) for i in range(NAMES)]
        for name in reader.names():
            assert torch.equal(reader.read_tensor(name), contents(ROUNDS - 1))
    with DiskBackend.open_read_only(location) as backend:
        assert backend.stats().stored_bytes == contents(ROUNDS - 1).nbytes
    assert len(blob_files(location)) <= 1


def test_three_writers_of_one_new_storage(tmp_path: Path) -> None:
    for attempt in range(5):
        location = tmp_path / str(attempt)
        together(location, [write_one] * 3)
        with ContentStoreReader(location) as reader:
            for i in range(3):
                assert torch.equal(reader.read_tensor(f"of{i}"), torch.arange(500_000))
        [path] = blob_files(location)
        assert path.stat().st_size == 4_000_000
        assert os.listdir(location / "tmp") == []  # noqa: PTH208 - names alone
        with DiskBackend.open_read_only(location) as backend:
            assert backend.stats().stored_bytes < 4_001_000
