"""The layout of sharded checkpoints: made whole without ranks, and found out where it lies."""

from pathlib import Path
from typing import Any

import pytest
import torch

from torchstash.cache.disk import DiskBackend
from torchstash.content_store import (
    ContentStoreError,
    ContentStoreReader,
    ContentStoreWriter,
    CorruptMetadataError,
    UnsupportedValueError,
)
from torchstash.content_store.checkpoint_tree import MARK
from torchstash.content_store.snapshot_writing import save_snapshot


def loaded(folder: Path, tree: object) -> Any:
    with DiskBackend(folder) as backend:
        save_snapshot(backend, "x", tree)
    with ContentStoreReader(folder) as reader:
        return reader.load_state_dict("x")


def tensor_of(
    size: tuple[int, ...], *chunks: tuple[tuple[int, ...], torch.Tensor]
) -> dict[str, Any]:
    return {
        "size": torch.Size(size),
        "dtype": torch.float32,
        "requires_grad": False,
        "chunks": [(torch.Size(offsets), chunk) for offsets, chunk in chunks],
    }


def checkpoint(**changes: object) -> dict[str, Any]:
    halves = torch.arange(6.0).reshape(3, 2).split([2, 1])
    tree: dict[str, Any] = {
        MARK: 1,
        "state_dict": {
            "m.w": tensor_of((3, 2), ((2, 0), halves[1].clone()), ((0, 0), halves[0].clone())),
            "l.0": {"value": "a"},
        },
        "planner_data": {"m.w": ("m", "w"), "l.0": ("l", 0)},
        "facts": {"save_id": "", "modules": []},
    }
    return tree | changes


def test_chunks_become_whole_and_names_nested(tmp_path: Path) -> None:
    found = loaded(tmp_path, checkpoint())
    assert found["l"] == ["a"]
    assert torch.equal(found["m"]["w"], torch.arange(6.0).reshape(3, 2))


@pytest.mark.parametrize("data", [None, "of a planner of its own", {}])
def test_without_paths_names_stay_flat(tmp_path: Path, data: object) -> None:
    assert list(loaded(tmp_path, checkpoint(planner_data=data))) == ["m.w", "l.0"]


@pytest.mark.parametrize(
    "changes",
    [
        {"state_dict": None},
        {"state_dict": {"a": 3}},
        {"state_dict": {"a": {}}},
        {"state_dict": {"a": tensor_of((3, 2), ((0, 0), torch.ones(2, 2)))}},
        {"state_dict": {"a": tensor_of((1 << 40,))}},
        {"state_dict": {"a": tensor_of((4,), ((0,), torch.ones(2)), ((3,), torch.ones(2)))}},
        {"state_dict": {"a": tensor_of((4,), ((0, 0), torch.ones(2)), ((2,), torch.ones(2)))}},
        {"state_dict": {"a": tensor_of((4,)) | {"chunks": [(torch.Size([0]), 4)]}}},
        {"planner_data": {"l.0": ("l", 1 << 40)}},
        {"planner_data": {"l.0": ("l", -1)}},
        {"planner_data": {"l.0": ("m.w", "x")}},
        {"planner_data": {"l.0": 3}},
    ],
)
def test_what_contradicts_itself_is_damaged(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(CorruptMetadataError, match="contradicts itself"):
        loaded(tmp_path, checkpoint(**changes))


def test_a_later_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedValueError, match="version 2"):
        loaded(tmp_path, checkpoint(**{MARK: 2}))


def test_what_would_be_taken_for_one_is_not_saved(tmp_path: Path) -> None:
    with ContentStoreWriter(tmp_path) as writer:
        with pytest.raises(ContentStoreError, match="rename the key"):
            writer.save_state_dict("x", {MARK: 1})
        writer.save_state_dict("x", {"inside": {MARK: 1}})
    with ContentStoreReader(tmp_path) as reader:
        assert reader.load_state_dict("x") == {"inside": {MARK: 1}}
