"""Several transfers at once, from and to the same places."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from typing_extensions import override

from torchstash.cache.disk import DiskBackend
from torchstash.content_store import ContentStoreReader, ContentStoreWriter
from torchstash.content_store.movement import pull, push
from torchstash.content_store.movement.layout import PART_BYTES
from torchstash.tests.content_store.movement.backends import Asking, Folder, Plain
from torchstash.tests.content_store.movement.movable_store import assert_moved, fill, large

_PULL = """
import sys
from torchstash.content_store.movement import pull
from torchstash.tests.content_store.movement.backends import Folder
from pathlib import Path
pull(sys.argv[1], Folder(Path(sys.argv[2])))
"""
_PROCESSES = 3


def test_several_push_to_one_place(tmp_path: Path) -> None:
    for i in range(4):
        with ContentStoreWriter(tmp_path / f"a{i}") as writer:
            writer.write_tensor("shared", torch.arange(20_000))
            writer.write_tensor(f"own {i}", large(i))
            writer.write_tensor("fought over", torch.full((30_000,), i))
    backend = Asking()
    with ThreadPoolExecutor(4) as executor:
        list(executor.map(lambda i: push(tmp_path / f"a{i}", backend), range(4)))
    pull(tmp_path / "b", backend)
    with ContentStoreReader(tmp_path / "b") as reader:
        assert reader.read_tensor("shared").equal(torch.arange(20_000))
        for i in range(4):
            assert reader.read_tensor(f"own {i}").equal(large(i))
        fought = reader.read_tensor("fought over")
        assert fought.equal(fought[:1].expand(30_000))


def test_several_processes_pull_into_one_store(tmp_path: Path) -> None:
    tensors = fill(tmp_path / "a")
    push(tmp_path / "a", Folder(tmp_path / "remote"))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _PULL, str(tmp_path / "b"), str(tmp_path / "remote")],
            env=environment,
            stderr=subprocess.PIPE,
        )
        for _ in range(_PROCESSES)
    ]
    for child in children:
        _, errors = child.communicate()
        assert child.returncode == 0, errors.decode()
    assert_moved(tmp_path / "b", tensors)
    with DiskBackend(tmp_path / "b") as store:
        assert not list(store.keys("pulls/"))
    assert not list((tmp_path / "b" / "tmp").iterdir())


def test_a_store_may_change_while_it_is_pushed(tmp_path: Path) -> None:
    """Each name that arrives is one that was there, whole."""
    with ContentStoreWriter(tmp_path / "a") as writer:
        writer.write_tensors({f"t{i}": torch.full((50_000,), i) for i in range(20)})
        stopped = threading.Event()

        def change() -> None:
            version = 20
            while not stopped.is_set():
                writer.write_tensor(f"t{version % 20}", torch.full((50_000,), version))
                version += 1

        changing = threading.Thread(target=change)
        changing.start()
        try:
            backend = Asking()
            for _ in range(5):
                push(tmp_path / "a", backend)
        finally:
            stopped.set()
            changing.join()
    pull(tmp_path / "b", backend)
    with ContentStoreReader(tmp_path / "b") as reader:
        assert len(list(reader.names())) == 20
        for i in range(20):
            found = reader.read_tensor(f"t{i}")
            assert found.equal(found[:1].expand(50_000))
            assert int(found[0]) % 20 == i


class Counting(Plain):
    """How many bytes are on their way at once, at most."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._now = self.most = 0

    @override
    def _put(self, key: str, data: bytes) -> None:
        with self._lock:
            self._now += len(data)
            self.most = max(self.most, self._now)
        super()._put(key, data)
        with self._lock:
            self._now -= len(data)


def test_memory_is_bounded_by_threads_and_parts(tmp_path: Path) -> None:
    with ContentStoreWriter(tmp_path / "a") as writer:
        writer.write_tensors({f"t{i}": large(i) for i in range(3)})
    backend = Counting()
    push(tmp_path / "a", backend, threads=2)
    assert backend.most <= 2 * PART_BYTES
    assert max(map(len, backend.values.values())) == PART_BYTES
