"""A reader that was overtaken by writers looks again: what was put back is not damaged."""

import pytest
import torch

from torchstash.cache.disk import DiskBackend
from torchstash.content_store import CorruptMetadataError, CorruptStorageError
from torchstash.content_store.blobs import BlobLoader
from torchstash.content_store.snapshot_storages import load_storages
from torchstash.tests.content_store.store_fixtures import Store, store

__all__ = ["store"]  # A fixture that pytest finds here.


def test_a_snapshot_that_was_deleted_and_saved_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = {"w": torch.arange(50_000.0)}
    store.writer.save_state_dict("s", state)
    overtaken: list[bool] = []

    def once_gone(*arguments: object, **options: object) -> object:
        if not overtaken:
            overtaken.append(True)
            return None  # Its storages were gone at that instant, and are back.
        return load_storages(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("torchstash.content_store.snapshot_reading.load_storages", once_gone)
    assert torch.equal(store.reader.load_state_dict("s")["w"], state["w"])


@pytest.mark.parametrize("times", [1, 2])
def test_contents_that_were_removed_and_published_again(
    store: Store, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    store.writer.write_tensor("x", torch.arange(50_000.0))
    load = BlobLoader.load
    failures: list[bool] = []

    def gone(*arguments: object, **options: object) -> object:
        if len(failures) < times:
            failures.append(True)
            raise CorruptStorageError("the file is gone")
        return load(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(BlobLoader, "load", gone)
    if times == 1:
        assert torch.equal(store.reader.read_tensor("x"), torch.arange(50_000.0))
    else:
        with pytest.raises(CorruptStorageError):
            store.reader.read_tensor("x")


def test_a_snapshot_that_lacks_a_storage_is_damaged(store: Store) -> None:
    store.writer.save_state_dict("s", {"w": torch.arange(50_000.0)})
    with DiskBackend(store.location) as backend:
        manifest = backend.get("snapshots/s")
        assert manifest is not None
        backend.delete("snapshots/s")
        backend.put("snapshots/s", manifest)
    with pytest.raises(CorruptMetadataError, match="a storage of it is gone"):
        store.reader.load_state_dict("s")
