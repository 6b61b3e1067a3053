"""State that two ranks hold parts of: saved, read whole, resharded, and lost halfway."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
import torch.distributed.checkpoint as dcp

from torchstash.cache.disk import DiskBackend
from torchstash.content_store import ContentStoreReader, ContentStoreWriter, MissingSnapshotError
from torchstash.content_store.distributed_checkpoint import CheckpointReader, CheckpointWriter
from torchstash.tests.content_store.distributed_checkpoint import programs
from torchstash.tests.content_store.distributed_checkpoint.ranks import run_ranks

# It says so of every call without ranks.
pytestmark = pytest.mark.filterwarnings("ignore:torch.distributed is disabled")

SHARD_BYTES = 256 * 128 * 4 // 2


def assert_equal(found: Mapping[str, object], want: Mapping[str, object]) -> None:
    assert list(found) == list(want)
    for key, value in want.items():
        if isinstance(value, dict):
            inner = found[key]
            assert isinstance(inner, dict)
            assert_equal(inner, value)
        elif isinstance(value, torch.Tensor):
            tensor = found[key]
            assert isinstance(tensor, torch.Tensor)
            assert tensor.dtype == value.dtype
            assert torch.equal(tensor, value), key
        else:
            assert found[key] == value


def emptied(state: Mapping[str, object]) -> dict[str, object]:
    return {
        key: emptied(value)
        if isinstance(value, dict)
        else torch.zeros_like(value)
        if isinstance(value, torch.Tensor)
        else None
        for key, value in state.items()
    }


def stored_bytes(store: Path) -> int:
    with DiskBackend.open_read_only(store) as backend:
        return backend.stats().stored_bytes


def pending(store: Path) -> list[str]:
    with DiskBackend.open_read_only(store) as backend:
        return list(backend.keys("pending/"))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a checkpoint of two ranks, and PyTorch's files of the same beside it."""
    folder = tmp_path_factory.mktemp("saved")
    arguments = (folder / "store", "step-1", folder / "files")
    assert run_ranks(programs.save_both_ways, 2, *arguments) == [0, 0]
    return folder / "store"


def test_the_state_is_read_whole_without_ranks(saved: Path) -> None:
    with ContentStoreReader(saved) as reader:
        assert list(reader.snapshots()) == ["step-1"]
        assert_equal(reader.load_state_dict("step-1"), programs.whole_state(1))


def test_nothing_else_is_left_in_the_store(saved: Path) -> None:
    with DiskBackend.open_read_only(saved) as backend:
        assert list(backend.keys()) == ["snapshots/step-1"]


def test_two_ranks_onto_one(saved: Path) -> None:
    state = emptied(programs.whole_state(1))
    dcp.load(state, storage_reader=CheckpointReader(saved, "step-1"), no_dist=True)
    assert_equal(state, programs.whole_state(1))


def test_it_equals_what_pytorchs_own_writer_keeps(saved: Path) -> None:
    ours, theirs = emptied(programs.whole_state(1)), emptied(programs.whole_state(1))
    dcp.load(ours, storage_reader=CheckpointReader(saved, "step-1"), no_dist=True)
    dcp.load(theirs, storage_reader=dcp.FileSystemReader(saved.parent / "files"), no_dist=True)
    assert_equal(ours, theirs)


def test_a_checkpoint_of_pytorch_is_copied_over(saved: Path, tmp_path: Path) -> None:
    state = emptied(programs.whole_state(1))
    dcp.load(state, storage_reader=dcp.FileSystemReader(saved.parent / "files"), no_dist=True)
    dcp.save(state, storage_writer=CheckpointWriter(tmp_path, "copied"), no_dist=True)
    with ContentStoreReader(tmp_path) as reader:
        assert_equal(reader.load_state_dict("copied"), programs.whole_state(1))


def test_another_layout(saved: Path) -> None:
    assert run_ranks(programs.load, 2, saved, "step-1", 1) == [0, 0]


def test_one_rank_onto_many(tmp_path: Path) -> None:
    state = programs.whole_state(4)
    dcp.save(state, storage_writer=CheckpointWriter(tmp_path, "alone"), no_dist=True)
    assert run_ranks(programs.load, 3, tmp_path, "alone", 4) == [0, 0, 0]


def test_what_did_not_change_is_not_written_again(tmp_path: Path) -> None:
    assert run_ranks(programs.save_unchanged_and_changed, 2, tmp_path) == [0, 0]
    _, again, changed = json.loads(Path(tmp_path, "added.json").read_text())
    # A manifest. Then one of the shards of what changes, which are equal, and kept once.
    assert 0 < again < 8192
    assert SHARD_BYTES < changed < SHARD_BYTES + 8192
    with ContentStoreWriter(tmp_path) as writer:
        for name in ("step-1", "again", "step-2"):
            assert writer.delete_snapshot(name)
    assert stored_bytes(tmp_path) == 0


def test_a_sharded_model_and_its_optimizer(tmp_path: Path) -> None:
    assert run_ranks(programs.train_and_resume, 2, tmp_path) == [0, 0]


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_saving_while_the_ranks_go_on(tmp_path: Path, kind: str) -> None:
    assert run_ranks(programs.save_asynchronously, 2, tmp_path, kind) == [0, 0]
    with ContentStoreReader(tmp_path) as reader:
        loaded = reader.load_state_dict(kind)
    want = programs.whole_state(1)
    assert isinstance(want["model"], dict)
    want["model"]["old_kind"] = want["model"]["plain"]
    assert_equal(loaded, want)


@pytest.mark.parametrize("loses", [0, 1], ids=["coordinator", "rank"])
def test_a_killed_rank_leaves_the_old_checkpoint(tmp_path: Path, loses: int) -> None:
    statuses = run_ranks(programs.save_and_lose, 2, tmp_path, "run", loses)
    assert statuses[loses] == -9
    assert statuses[1 - loses] not in (0, -9)
    with ContentStoreReader(tmp_path) as reader:
        assert list(reader.snapshots()) == ["run"]
        assert_equal(reader.load_state_dict("run"), programs.whole_state(1))
    assert pending(tmp_path)
    # What was left behind goes with the next checkpoint that is finished later than it may take.
    late = CheckpointWriter(tmp_path, "run", abandoned_after_seconds=-60)
    dcp.save(programs.whole_state(3), storage_writer=late, no_dist=True)
    assert not pending(tmp_path)
    with ContentStoreWriter(tmp_path) as writer:
        writer.delete_snapshot("run")
    assert stored_bytes(tmp_path) == 0


def test_what_one_rank_cannot_keep_fails_all_and_leaves_nothing(tmp_path: Path) -> None:
    assert run_ranks(programs.refuse, 2, tmp_path) == [0, 0]
    with ContentStoreReader(tmp_path) as reader, pytest.raises(MissingSnapshotError):
        reader.load_state_dict("refused")
