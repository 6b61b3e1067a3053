"""A tensor or a state dict under another name: one step, and nothing is lost by accident."""

import pytest
import torch

from torchstash.content_store import (
    InvalidNameError,
    MissingSnapshotError,
    MissingTensorError,
    NameTakenError,
)
from torchstash.tests.content_store.store_fixtures import Store, store

__all__ = ["store"]  # A fixture that pytest finds here.


def test_a_tensor(store: Store) -> None:
    weight = torch.nn.Parameter(torch.arange(30_000.0).reshape(3, -1).t())
    store.writer.write_tensor("a", weight)
    store.writer.rename_tensor("a", "../b")
    assert list(store.reader.names()) == ["../b"]
    read = store.reader.read_tensor("../b")
    assert isinstance(read, torch.nn.Parameter)
    assert torch.equal(read, weight)
    with pytest.raises(MissingTensorError, match="'a'"):
        store.reader.read_tensor("a")


def test_a_state_dict(store: Store) -> None:
    store.writer.save_state_dict("new", {"w": torch.ones(30_000)})
    store.writer.save_state_dict("best", {"w": torch.zeros(30_000)})
    store.writer.write_tensor("best", torch.ones(1))
    with pytest.raises(NameTakenError, match=r"'new'.*'best'"):
        store.writer.rename_snapshot("new", "best")
    store.writer.rename_snapshot("new", "best", replace=True)
    assert list(store.reader.snapshots()) == ["best"]
    assert torch.equal(store.reader.load_state_dict("best")["w"], torch.ones(30_000))
    assert len([p for p in (store.location / "blobs").rglob("*") if p.is_file()]) == 1
    assert list(store.reader.names()) == ["best"]


def test_what_cannot_be_renamed(store: Store) -> None:
    store.writer.write_tensor("a", torch.ones(1))
    store.writer.write_tensor("b", torch.zeros(1))
    with pytest.raises(MissingTensorError, match="'absent'"):
        store.writer.rename_tensor("absent", "b", replace=True)
    with pytest.raises(MissingSnapshotError, match="'a'"):
        store.writer.rename_snapshot("a", "c")
    with pytest.raises(NameTakenError) as caught:
        store.writer.rename_tensor("a", "b")
    assert isinstance(caught.value, FileExistsError)
    for name in ("", "x" * 1025):
        with pytest.raises(InvalidNameError):
            store.writer.rename_tensor("a", name)
    store.writer.rename_tensor("a", "a")
    assert store.reader.read_tensor("a").item() == 1
    assert store.reader.read_tensor("b").item() == 0
