"""Looking after a content store: every problem comes with the names that it hits."""

import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import torch

from torchstash.cache.digest import Digest
from torchstash.cache.disk import DiskBackend, Put
from torchstash.content_store import (
    ContentStoreMaintenance,
    ContentStoreReader,
    ContentStoreWriter,
    CorruptStorageError,
    MissingStoreError,
    Problem,
    ProblemKind,
    QuotaExceededError,
    StoreUnavailableError,
)
from torchstash.content_store.pending import new_pending_key
from torchstash.tests.content_store.store_fixtures import Store, store
from torchstash.tests.faults.read_only_medium import on_read_only_medium

__all__ = ["store"]  # A fixture that pytest finds here.

LARGE = torch.arange(100_000.0)
PACKED = torch.arange(2000.0)
SMALL = torch.arange(20.0)


@pytest.fixture
def filled(store: Store) -> ContentStoreMaintenance:
    store.writer.write_tensors({"large": LARGE, "packed": PACKED, "small": SMALL, "view": LARGE[1]})
    store.writer.save_state_dict("run/1", {"w": LARGE, "b": SMALL, "own": LARGE + 1})
    store.writer.write_storage(LARGE.untyped_storage())
    return ContentStoreMaintenance(store.location)


def file_of(store: Store, tensor: torch.Tensor) -> Path:
    digest = store.writer.compute_tensor_metadata(tensor).storage_digest.hex()
    return store.location / "blobs" / digest[:2] / digest


def spoil(path: Path) -> None:
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(1000)
        file.write(b"\xff\x00\xff")


def test_a_sound_store(filled: ContentStoreMaintenance) -> None:
    assert list(filled.verify()) == []
    assert filled.repair().lost == ()
    assert filled.repair().repaired == ()


def test_there_has_to_be_a_store(tmp_path: Path) -> None:
    absent = ContentStoreMaintenance(tmp_path / "absent")
    for use in (lambda: list(absent.verify()), absent.gc, absent.repair, absent.quota):
        with pytest.raises(MissingStoreError):
            use()
    assert list(tmp_path.iterdir()) == []


def test_damaged_bytes_are_told_by_name_and_repaired_by_writing_them(
    filled: ContentStoreMaintenance, store: Store
) -> None:
    spoil(file_of(store, LARGE))
    [problem] = filled.verify()
    digest = store.writer.compute_tensor_metadata(LARGE).storage_digest.hex()
    assert problem.kind is ProblemKind.CONTENTS
    assert problem.tensors == ("large", "view")
    assert problem.snapshots == ("run/1",)
    assert problem.storages == (digest,)
    assert problem.digest == digest
    assert "tensors 'large', 'view'; snapshots 'run/1'" in str(problem)

    report = filled.repair()
    assert report.tensors_to_write_again == ("large", "view")
    assert report.snapshots_to_write_again == ("run/1",)
    assert report.repaired == ()
    with pytest.raises(CorruptStorageError, match="'large'"):
        store.fresh_reader().read_tensor("large")
    store.writer.write_tensor("other", LARGE)
    with store.fresh_reader() as reader:
        assert torch.equal(reader.read_tensor("large"), LARGE)
        assert torch.equal(reader.load_state_dict("run/1")["w"], LARGE)
    assert list(filled.verify()) == []


def test_only_what_was_written_since(filled: ContentStoreMaintenance, store: Store) -> None:
    spoil(file_of(store, LARGE))
    spoil(file_of(store, LARGE + 1))
    now = datetime.now(UTC)
    assert len(list(filled.verify(since=now - timedelta(hours=1)))) == 2
    assert list(filled.verify(since=now + timedelta(hours=1))) == []
    hashed: list[int] = []
    list(filled.verify(on_progress=hashed.append))
    assert sum(hashed) > LARGE.nbytes * 2
    with pytest.raises(ValueError, match="time zone"):
        filled.verify(since=datetime(2020, 1, 1))


def test_damaged_descriptions(filled: ContentStoreMaintenance, store: Store) -> None:
    with DiskBackend(store.location) as backend:
        digest = Digest.of(b"x")
        backend.commit([Put("tensors/no metadata", b"x"), Put("tensors/odd", b"x", note=b"\xff")])
        wrong = store.writer.compute_tensor_metadata(SMALL).SerializeToString()
        backend.commit([Put("tensors/another", None, digest, wrong)])
        backend.commit([Put("snapshots/odd", b"\xff\xff")])
    found = list(filled.verify())
    assert {each.kind for each in found} == {ProblemKind.ENTRY}
    assert [name for each in found for name in each.tensors] == ["another", "no metadata", "odd"]
    assert found[-1].snapshots == ("odd",)
    report = filled.repair()
    assert report.tensors_to_write_again == ("another", "no metadata", "odd")
    assert report.snapshots_to_write_again == ("odd",)


def test_a_snapshot_without_links_is_linked_again(
    filled: ContentStoreMaintenance, store: Store
) -> None:
    with DiskBackend(store.location) as backend:
        data = backend.get("snapshots/run/1")
        assert data is not None
        backend.delete("snapshots/run/1")
        store.writer.write_tensor("keeps it", LARGE + 1)
        backend.put("snapshots/run/1", data)
    [problem] = filled.verify()
    assert problem.kind is ProblemKind.USES
    assert problem.snapshots == ("run/1",)
    assert filled.repair().repaired == (problem,)
    assert list(filled.verify()) == []
    store.writer.delete_tensor("keeps it")
    assert torch.equal(store.fresh_reader().load_state_dict("run/1")["own"], LARGE + 1)


def test_a_snapshot_whose_storage_is_gone(filled: ContentStoreMaintenance, store: Store) -> None:
    with DiskBackend(store.location) as backend:
        data = backend.get("snapshots/run/1")
        assert data is not None
        backend.delete("snapshots/run/1")
        backend.put("snapshots/run/1", data)
    report = filled.repair()
    assert report.snapshots_to_write_again == ("run/1",)
    assert {each.kind for each in report.lost} == {ProblemKind.DANGLING}


def test_problems_come_as_they_are_found(filled: ContentStoreMaintenance, store: Store) -> None:
    spoil(file_of(store, LARGE))
    found = filled.verify()
    assert isinstance(next(found), Problem)
    found.close()  # type: ignore[attr-defined]
    store.writer.write_tensor("after", SMALL)


def test_garbage_of_a_killed_writer(filled: ContentStoreMaintenance, store: Store) -> None:
    code = (
        "import os, signal, sys, torch\n"
        "from torchstash.content_store import ContentStoreWriter\n"
        "writer = ContentStoreWriter(sys.argv[1])\n"
        "os.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "writer.write_tensor('x', torch.ones(50000))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, str(store.location)]
    assert subprocess.run(command, env=environment, check=False).returncode == -9
    assert filled.gc(dry_run=True).temporary_files == 0
    planned = filled.gc(grace_seconds=0, dry_run=True)
    assert planned.temporary_files == 1
    assert planned.freed_bytes >= 200_000
    assert filled.gc(grace_seconds=0) == planned
    assert filled.gc(grace_seconds=0, audit=True).freed_bytes == 0
    assert list((store.location / "tmp").iterdir()) == []
    assert list(filled.verify()) == []


def test_parts_of_a_checkpoint_that_was_never_finished(
    filled: ContentStoreMaintenance, store: Store
) -> None:
    now = time.time()
    with DiskBackend(store.location) as backend:
        for unix_seconds in (now - 7200, now):
            backend.put(new_pending_key(unix_seconds), b"what a rank wrote")
    assert filled.gc(dry_run=True).checkpoint_parts == 1
    assert filled.gc().checkpoint_parts == 1
    assert filled.gc(grace_seconds=-60).checkpoint_parts == 1
    assert filled.gc(grace_seconds=-60, dry_run=True).checkpoint_parts == 0
    assert list(filled.verify()) == []


def test_a_quota_refuses_and_says_how_much(filled: ContentStoreMaintenance, store: Store) -> None:
    used = filled.quota().used_bytes
    filled.set_quota(used + 1000)
    with ContentStoreWriter(store.location) as writer:
        with pytest.raises(QuotaExceededError, match="delete what is not needed") as caught:
            writer.write_tensors({"a": torch.ones(10), "b": torch.ones(50_000)})
        assert isinstance(caught.value, StoreUnavailableError)
        assert caught.value.quota_bytes == used + 1000
        assert caught.value.used_bytes == used
        assert caught.value.asked_bytes == 200_040
        writer.write_tensor("fits", torch.ones(10))
        writer.write_tensor("known", LARGE)
        with pytest.raises(QuotaExceededError):
            writer.save_state_dict("run/2", {"w": torch.ones(50_000)})
    assert list(store.fresh_reader().snapshots()) == ["run/1"]
    assert list(filled.verify()) == []
    filled.set_quota(None)
    assert filled.quota().quota_bytes is None
    store.writer.write_tensor("b", torch.ones(50_000))


def test_on_a_medium_that_cannot_be_written(filled: ContentStoreMaintenance, store: Store) -> None:
    store.writer.close()
    store.reader.close()

    def look() -> None:
        torch.set_num_threads(1)  # PyTorch's own threads do not cross a fork.
        assert list(filled.verify()) == []
        assert filled.gc(dry_run=True).freed_bytes == 0
        filled.quota()
        with pytest.raises(StoreUnavailableError):
            filled.gc()

    on_read_only_medium(store.location, look)


def test_looking_changes_nothing(filled: ContentStoreMaintenance, store: Store) -> None:
    spoil(file_of(store, LARGE))
    store.writer.close()
    store.reader.close()

    def state() -> dict[str, bytes]:
        files = (path for path in store.location.rglob("*") if path.is_file())
        return {str(path): path.read_bytes() for path in files if path.suffix != ".sqlite3-shm"}

    before = state()
    assert list(filled.verify())
    filled.gc(dry_run=True, grace_seconds=0, audit=True)
    filled.quota()
    assert state() == before
    with ContentStoreReader(store.location) as reader:
        assert torch.equal(reader.read_tensor("small"), SMALL)
