"""What the writer promises: stored once, seen anew each time, whole or not at all."""

from pathlib import Path

import pytest
import torch

from torchstash.cache.disk import DiskBackend
from torchstash.content_store import (
    ContentStoreReader,
    ContentStoreWriter,
    StoreUnavailableError,
    UnsupportedStorageError,
    hash_storage,
)
from torchstash.tests.content_store.storages import bytes_of
from torchstash.tests.content_store.store_fixtures import Store, store
from torchstash.tests.content_store.subprocesses import run_python
from torchstash.tests.faults.read_only_medium import on_read_only_medium

__all__ = ["store"]  # A fixture that pytest finds here.


def stored_bytes(location: Path) -> int:
    with DiskBackend.open_read_only(location) as backend:
        return backend.stats().stored_bytes


def blob_files(location: Path) -> list[Path]:
    return [path for path in (location / "blobs").rglob("*") if path.is_file()]


def test_the_location_is_a_string_or_a_path(tmp_path: Path) -> None:
    locations: tuple[str | Path, ...] = (str(tmp_path / "a"), tmp_path / "b" / "c")
    for i, location in enumerate(locations):
        with ContentStoreWriter(location, stable_hash=bool(i)) as writer:
            writer.write_tensor("x", torch.ones(3))
        with ContentStoreReader(location) as reader:
            assert torch.equal(reader.read_tensor("x"), torch.ones(3))


def test_write_storage_gives_the_digest(store: Store, device: str) -> None:
    for size in (0, 1, 1000, 70_000):
        storage = torch.arange(size, device=device).untyped_storage()
        digest = store.writer.write_storage(storage)
        assert digest == hash_storage(storage)
        assert bytes_of(store.reader.read_storage(digest)) == bytes_of(storage)


@pytest.mark.parametrize("elements", [10, 30_000])
def test_equal_contents_are_kept_once(store: Store, device: str, elements: int) -> None:
    x = torch.arange(elements, device=device)
    for i in range(5):
        store.writer.write_tensor(f"clone{i}", x.clone())
        store.writer.write_tensor(f"view{i}", x[i:])
        ContentStoreWriter(store.location).write_tensor(f"other{i}", x.clone())
    assert stored_bytes(store.location) == x.nbytes
    files = blob_files(store.location)
    assert len(files) == (elements == 30_000)
    assert sum(path.stat().st_size for path in files) in {0, x.nbytes}
    for i in range(5):
        assert torch.equal(store.reader.read_tensor(f"view{i}"), x[i:])


def test_changes_that_bump_no_version_are_seen(store: Store, device: str) -> None:
    x = torch.zeros(30_000, device=device)
    store.writer.write_tensor("before", x)
    version = x._version
    x.data.add_(1)
    assert x._version == version
    store.writer.write_tensor("after", x)
    assert torch.equal(store.reader.read_tensor("before"), torch.zeros_like(x))
    assert torch.equal(store.reader.read_tensor("after"), torch.ones_like(x))


def test_a_tensor_and_its_negative(store: Store, device: str) -> None:
    x = torch.tensor([1.0, 2.0, 3.0], device=device)
    store.writer.write_tensor("x", x)
    store.writer.write_tensor("minus_x", -x)
    assert torch.equal(store.reader.read_tensor("x"), x)
    assert torch.equal(store.reader.read_tensor("minus_x"), -x)


def test_a_name_is_taken_over(store: Store) -> None:
    store.writer.write_tensor("x", torch.ones(3))
    store.writer.write_tensor("x", torch.arange(5))
    assert torch.equal(store.reader.read_tensor("x"), torch.arange(5))
    assert list(store.reader.names()) == ["x"]


def test_a_storage_without_bytes_is_refused(store: Store) -> None:
    with pytest.raises(UnsupportedStorageError):
        store.writer.write_storage(torch.empty(3, device="meta").untyped_storage())
    assert stored_bytes(store.location) == 0


def test_a_read_tensor_is_written_again(store: Store) -> None:
    """A mapped storage is a storage like any other, also after it was changed."""
    store.writer.write_tensor("x", torch.zeros(30_000))
    read = store.reader.read_tensor("x")
    read[7] = 1
    store.writer.write_tensor("y", read)
    assert store.reader.read_tensor("y")[7] == 1
    assert store.fresh_reader().read_tensor("x")[7] == 0


def test_where_no_store_can_be(tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("mine")
    with pytest.raises(StoreUnavailableError, match="file"):
        ContentStoreWriter(occupied)
    assert occupied.read_text() == "mine"


def test_a_closed_writer(store: Store) -> None:
    store.writer.close()
    with pytest.raises(StoreUnavailableError, match="closed"):
        store.writer.write_tensor("x", torch.ones(3))


FULL_DISK = """
import resource, signal, sys, torch
from torchstash.content_store import ContentStoreWriter, StoreUnavailableError
writer = ContentStoreWriter(sys.argv[1])
writer.write_tensor("before", torch.arange(3))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    writer.write_tensor("x", torch.ones(1 << 20))
except StoreUnavailableError as error:
    print("refused", type(error.__cause__).__name__)
"""


def test_no_space_left(tmp_path: Path) -> None:
    """Writing fails with a typed error, and the store is as it was."""
    location = tmp_path / "store"
    assert run_python(FULL_DISK, str(location)) == "refused BackendFullError\n"
    with ContentStoreReader(location) as reader:
        assert list(reader.names()) == ["before"]
    with ContentStoreWriter(location) as writer:
        writer.write_tensor("x", torch.ones(1 << 20))
    assert not any((location / "tmp").iterdir())


def test_a_store_that_may_only_be_read(store: Store) -> None:
    store.writer.write_tensor("x", torch.ones(30_000))
    store.writer.close()
    store.reader.close()

    def use() -> None:
        torch.set_num_threads(1)  # PyTorch's own threads do not cross a fork.
        assert torch.equal(store.fresh_reader().read_tensor("x"), torch.ones(30_000))
        with pytest.raises(StoreUnavailableError):
            ContentStoreWriter(store.location).write_tensor("y", torch.ones(3))

    on_read_only_medium(store.location, use)
