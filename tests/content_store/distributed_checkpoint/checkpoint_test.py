"""Checkpoints of one process: what is kept, what is refused, what a reader is told."""

import io
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.metadata import BytesStorageMetadata
from torch.distributed.checkpoint.planner import WriteItem, WriteItemType
from typing_extensions import override

from torchstash.cache.disk import DiskBackend
from torchstash.content_store import (
    ContentStoreError,
    ContentStoreReader,
    ContentStoreWriter,
    CorruptStorageError,
    IncompleteCheckpointError,
    InvalidNameError,
    MissingSnapshotError,
    MissingStoreError,
    UnsupportedTensorError,
    UnsupportedValueError,
)
from torchstash.content_store.distributed_checkpoint import CheckpointReader, CheckpointWriter
from torchstash.content_store.distributed_checkpoint.part import parts_of
from torchstash.content_store.distributed_checkpoint.stored_checkpoint import StoredCheckpoint

pytestmark = pytest.mark.filterwarnings("ignore:torch.distributed is disabled")


def save(store: Path, state: dict[str, Any], name: str = "x") -> None:
    dcp.save(state, storage_writer=CheckpointWriter(store, name))


def load(store: Path, state: dict[str, Any], name: str = "x", **options: Any) -> dict[str, Any]:
    dcp.load(state, storage_reader=CheckpointReader(store, name, **options))
    return state


def whole(store: Path, name: str = "x") -> dict[str, Any]:
    with ContentStoreReader(store) as reader:
        found = reader.load_state_dict(name)
    assert isinstance(found, dict)
    return found


def cause_of(caught: pytest.ExceptionInfo[CheckpointException]) -> BaseException:
    """What rank 0 raised."""
    return caught.value.failures[0][0]


def keys(store: Path, prefix: str = "") -> list[str]:
    with DiskBackend.open_read_only(store) as backend:
        return list(backend.keys(prefix))


VALUES: dict[str, object] = {
    "none": None,
    "truth": True,
    "small": 3,
    "large": 1 << 100,
    "real": 0.1,
    "text": "\N{SNOWMAN}",
    "octets": b"\0\xff",
    "pair": (0.9, 0.99),
    "list": [1, [2, "three"]],
    "dtype": torch.bfloat16,
    "device": torch.device("cuda:1"),
    "size": torch.Size([1, 2]),
}


def test_values_that_are_no_tensors(tmp_path: Path) -> None:
    save(tmp_path, VALUES)
    assert load(tmp_path, dict.fromkeys(VALUES)) == VALUES
    assert whole(tmp_path) == VALUES
    assert list(whole(tmp_path)) == list(VALUES)


def test_tensors_inside_values(tmp_path: Path) -> None:
    """PyTorch does not look into tuples."""
    save(tmp_path, {"rng": (1, torch.arange(5), {"deep": torch.ones(40_000)})})
    for found in (load(tmp_path, {"rng": None}), whole(tmp_path)):
        number, small, rest = found["rng"]
        assert number == 1
        assert torch.equal(small, torch.arange(5))
        assert torch.equal(rest["deep"], torch.ones(40_000))


def test_nested_lists_and_dicts_come_back_nested(tmp_path: Path) -> None:
    state = {"groups": [{"lr": 0.1, "w": torch.ones(2)}, {"lr": 0.2, "w": torch.zeros(3)}]}
    save(tmp_path, state)
    found = whole(tmp_path)["groups"]
    assert [group["lr"] for group in found] == [0.1, 0.2]
    assert torch.equal(found[1]["w"], torch.zeros(3))


@pytest.mark.parametrize(
    "tensor",
    [
        torch.tensor(3.5),
        torch.empty(0, 4),
        torch.arange(12).reshape(3, 4).t(),
        torch.arange(100_000)[::3],
        torch.ones(1).expand(5, 6),
        torch.randn(4, dtype=torch.complex64).conj(),
        torch.zeros(3, dtype=torch.float8_e4m3fn),
        torch.tensor([True, False]),
        torch.nn.Parameter(torch.ones(4, requires_grad=True)),
    ],
    ids=["scalar", "empty", "transposed", "strided", "expanded", "conj", "float8", "bool", "param"],
)
def test_tensors_of_all_kinds(tmp_path: Path, tensor: torch.Tensor) -> None:
    save(tmp_path, {"t": tensor})
    state = load(tmp_path, {"t": torch.zeros(tensor.shape, dtype=tensor.dtype)})
    for found in (state["t"], whole(tmp_path)["t"]):
        assert found.dtype == tensor.dtype
        assert torch.equal(found, tensor.detach())


def test_of_a_view_only_what_it_shows_is_kept(tmp_path: Path) -> None:
    save(tmp_path, {"row": torch.arange(1_000_000.0).reshape(1000, 1000)[7]})
    with DiskBackend.open_read_only(tmp_path) as backend:
        assert backend.stats().stored_bytes < 10_000


def test_tied_weights_are_kept_once_and_come_back_tied(tmp_path: Path) -> None:
    weight = torch.randn(300, 300)
    save(tmp_path, {"encoder": weight, "decoder": weight, "equal": weight.clone()})
    with DiskBackend.open_read_only(tmp_path) as backend:
        assert backend.stats().stored_bytes < weight.nbytes + 4096
    found = whole(tmp_path)
    found["encoder"].zero_()
    assert not found["decoder"].any()
    assert torch.equal(found["equal"], weight)


def test_a_name_is_given_at_the_call(tmp_path: Path) -> None:
    writer, reader = CheckpointWriter(tmp_path), CheckpointReader(tmp_path)
    for step in (1, 2):
        dcp.save({"step": step}, checkpoint_id=f"step-{step}", storage_writer=writer)
    state = {"step": 0}
    dcp.load(state, checkpoint_id="step-1", storage_reader=reader)
    assert state == {"step": 1}
    assert keys(tmp_path) == ["snapshots/step-1", "snapshots/step-2"]
    assert CheckpointWriter.validate_checkpoint_id("../any/name")
    assert not CheckpointReader.validate_checkpoint_id("")


@pytest.mark.parametrize("name", ["", "a" * 1025, None])
def test_a_name_that_is_none(tmp_path: Path, name: str | None) -> None:
    with pytest.raises((InvalidNameError, CheckpointException), match="name"):
        save(tmp_path, {"a": 1}, name)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_what_a_save_tells(tmp_path: Path) -> None:
    metadata = dcp.save({"t": torch.ones(3)}, storage_writer=CheckpointWriter(tmp_path, "x"))
    read = CheckpointReader(tmp_path, "x").read_metadata()
    assert read.state_dict_metadata == metadata.state_dict_metadata
    assert read.planner_data == metadata.planner_data
    assert read.storage_meta is not None
    assert metadata.storage_meta is not None
    assert read.storage_meta.save_id == metadata.storage_meta.save_id
    assert read.storage_meta.load_id
    assert set(read.storage_data) == set(metadata.storage_data)


def test_a_checkpoint_is_replaced_as_a_whole(tmp_path: Path) -> None:
    save(tmp_path, {"w": torch.ones(100_000), "old": 1})
    save(tmp_path, {"w": torch.zeros(100_000)})
    assert list(whole(tmp_path)) == ["w"]
    with DiskBackend.open_read_only(tmp_path) as backend:
        assert backend.stats().stored_bytes < 400_000 + 4096


@pytest.mark.parametrize(
    ("value", "error", "match"),
    [
        (print, UnsupportedValueError, r"\['bad'\] is a builtins\.builtin_function"),
        ({1, 2}, UnsupportedValueError, r"\['bad'\] is a builtins\.set"),
        ((1, object()), UnsupportedValueError, r"\['bad'\]\[1\] is a builtins\.object"),
        (torch.eye(3).to_sparse(), UnsupportedTensorError, r"\['bad'\].*sparse"),
        (torch.ones(2, device="meta"), UnsupportedTensorError, r"\['bad'\].*meta"),
    ],
    ids=["function", "set", "inner", "sparse", "meta"],
)
def test_what_cannot_be_kept_is_refused_by_name(
    tmp_path: Path, value: object, error: type[ContentStoreError], match: str
) -> None:
    save(tmp_path, {"good": 1})
    with pytest.raises(CheckpointException, match=match) as caught:
        save(tmp_path, {"good": torch.ones(100_000), "bad": value})
    assert isinstance(cause_of(caught), error)
    assert whole(tmp_path) == {"good": 1}
    assert keys(tmp_path) == ["snapshots/x"]


def test_values_nested_as_deep_as_they_may_be(tmp_path: Path) -> None:
    deepest: object = 1
    for depth in range(40):
        value, deepest = deepest, ({"d": deepest},)
        try:
            save(tmp_path, {"deep": deepest})
        except CheckpointException:
            assert depth > 10
            assert whole(tmp_path) == {"deep": value}
            assert load(tmp_path, {"deep": None}) == {"deep": value}
            return
    raise AssertionError("no limit was found")


class Halving(dcp.DefaultSavePlanner):
    """Keeps tensors in half precision."""

    @override
    def transform_object(self, write_item: WriteItem, object: Any) -> Any:
        found = super().transform_object(write_item, object)
        return found.half() if isinstance(found, torch.Tensor) else found


class Opaque(dcp.DefaultSavePlanner):
    """Makes bytes of its own of what is no tensor."""

    @override
    def resolve_data(self, write_item: WriteItem) -> Any:
        if write_item.type is WriteItemType.BYTE_IO:
            return io.BytesIO(b"anything")
        return super().resolve_data(write_item)


def test_a_planner_that_changes_tensors(tmp_path: Path) -> None:
    state = {"w": torch.ones(3), "betas": (0.9, 0.99)}
    dcp.save(state, storage_writer=CheckpointWriter(tmp_path, "x"), planner=Halving())
    assert load(tmp_path, {"w": torch.zeros(3), "betas": None})["betas"] == (0.9, 0.99)
    assert whole(tmp_path)["w"].dtype is torch.float16


def test_bytes_of_a_planner_of_its_own_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointException, match="Opaque makes of 'step'") as caught:
        dcp.save({"step": 1}, storage_writer=CheckpointWriter(tmp_path, "x"), planner=Opaque())
    assert isinstance(cause_of(caught), UnsupportedValueError)


def test_a_rank_writes_in_parts_of_bounded_size(tmp_path: Path) -> None:
    state = {f"t{i}": torch.full((1000,), float(i)) for i in range(5)}
    planner = dcp.DefaultSavePlanner()
    planner.set_up_planner(state)
    parts = [
        [item.index.fqn for item, _ in part]
        for part in parts_of(planner.create_local_plan().items, planner, part_bytes=8000)
    ]
    assert parts == [["t0", "t1"], ["t2", "t3"], ["t4"]]


@pytest.mark.parametrize("mode", ["mapped", "copied"])
def test_both_ways_to_read(tmp_path: Path, mode: str) -> None:
    save(tmp_path, {"w": torch.arange(100_000)})
    found = load(tmp_path, {"w": torch.zeros(100_000, dtype=torch.int64)}, mode=mode)
    assert torch.equal(found["w"], torch.arange(100_000))


def load_error(store: Path, name: str = "x") -> str:
    with pytest.raises(CheckpointException) as caught:
        load(store, {"w": torch.zeros(100_000)}, name)
    return str(caught.value)


def test_what_is_not_there(tmp_path: Path) -> None:
    reader = CheckpointReader(tmp_path / "none", "x")
    with pytest.raises(MissingStoreError):
        reader.read_metadata()
    save(tmp_path, {"w": torch.ones(100_000)})
    with pytest.raises(MissingSnapshotError, match="no checkpoint 'y'"):
        CheckpointReader(tmp_path, "y").read_metadata()
    assert "no checkpoint 'y'" in load_error(tmp_path, "y")
    assert not (tmp_path / "none").exists()


def test_what_save_state_dict_kept_is_loaded_too(tmp_path: Path) -> None:
    module = torch.nn.Linear(300, 100)
    state = {
        "model": module.state_dict(),
        "groups": [{"lr": 0.1, "w": torch.ones(3)}],
        "rng": (1, torch.arange(3)),
    }
    with ContentStoreWriter(tmp_path) as writer:
        writer.save_state_dict("x", state)
    found = load(
        tmp_path,
        {
            "model": torch.nn.Linear(300, 100).state_dict(),
            "groups": [{"lr": 0.0, "w": torch.zeros(3)}],
            "rng": None,
        },
    )
    assert torch.equal(found["model"]["weight"], module.weight)
    assert found["groups"][0]["lr"] == 0.1
    assert torch.equal(found["groups"][0]["w"], torch.ones(3))
    assert found["rng"][0] == 1
    assert torch.equal(found["rng"][1], torch.arange(3))


def test_a_snapshot_that_is_no_dict(tmp_path: Path) -> None:
    with ContentStoreWriter(tmp_path) as writer:
        writer.save_state_dict("x", [torch.ones(3)])
    with pytest.raises(UnsupportedValueError, match=r"is a list.*load_state_dict"):
        CheckpointReader(tmp_path, "x").read_metadata()


def test_a_damaged_manifest_is_found_out(tmp_path: Path) -> None:
    """Whatever is in it: a typed error, or something that makes sense."""
    save(tmp_path, {"w": torch.ones(3, 4), "rng": (1, torch.arange(5)), "nested": {"a": [1.5]}})
    with DiskBackend.open_read_only(tmp_path) as backend:
        data = backend.get("snapshots/x")
    assert data is not None
    generator = random.Random(11)
    outcomes: Counter[str] = Counter()
    for _ in range(3000):
        damaged = bytearray(data)
        for _ in range(generator.randint(1, 3)):
            damaged[generator.randrange(len(data))] = generator.randrange(256)
        try:
            stored = StoredCheckpoint(bytes(damaged), "x")
            for key, described in stored.metadata.state_dict_metadata.items():
                if isinstance(described, BytesStorageMetadata):
                    stored.tensors_of(key)
        except ContentStoreError as error:
            outcomes[type(error).__name__] += 1
        else:
            outcomes["sound"] += 1
    assert outcomes["CorruptMetadataError"] > 100
    assert outcomes["sound"] > 100


def test_damage_is_found_before_anything_is_used(tmp_path: Path) -> None:
    save(tmp_path, {"w": torch.ones(100_000)})
    file = next(path for path in tmp_path.glob("blobs/*/*") if path.stat().st_size == 400_000)
    file.chmod(0o600)
    with file.open("r+b") as opened:
        opened.seek(1234)
        opened.write(b"\x01")
    state = {"w": torch.zeros(100_000)}
    with pytest.raises(CheckpointException, match="damaged") as caught:
        load(tmp_path, state)
    assert isinstance(cause_of(caught), CorruptStorageError)
    assert not state["w"].any()
    # Saved again, it is whole again.
    save(tmp_path, {"w": torch.ones(100_000)})
    assert torch.equal(load(tmp_path, state)["w"], torch.ones(100_000))


def test_ranks_that_found_different_versions_do_not_mix_them(tmp_path: Path) -> None:
    reader, plans = CheckpointReader(tmp_path, "x"), []
    for value in (1.0, 2.0, 2.0):
        save(tmp_path, {"w": torch.full((10,), value)})
        reader.read_metadata()
        plans.append(reader.prepare_local_plan(dcp.LoadPlan([])))
    assert reader.prepare_global_plan(plans[:1] * 2)
    with pytest.raises(IncompleteCheckpointError, match="replaced while ranks began"):
        reader.prepare_global_plan(plans[:2])


def test_without_collectives_nothing_is_saved(tmp_path: Path) -> None:
    with pytest.raises(NotImplementedError, match="use_collectives=True"):
        dcp.save({"step": 1}, storage_writer=CheckpointWriter(tmp_path, "x"), use_collectives=False)
    assert not list(tmp_path.iterdir())


class Replaced(CheckpointReader):
    """Another job saves under the same name between the plan and the reading."""

    @override
    def read_data(self, plan: Any, planner: Any) -> Any:
        save(self._location, {"w": torch.full((100_000,), 2.0)})
        return super().read_data(plan, planner)


def test_a_checkpoint_that_is_replaced_while_it_is_read(tmp_path: Path) -> None:
    save(tmp_path, {"w": torch.ones(100_000)})
    with pytest.raises(CheckpointException, match="was replaced or deleted") as caught:
        dcp.load({"w": torch.zeros(100_000)}, storage_reader=Replaced(tmp_path, "x"))
    assert isinstance(cause_of(caught), IncompleteCheckpointError)


class Forgetful(CheckpointWriter):
    """What it wrote is gone when it finishes."""

    @override
    def finish(self, metadata: Any, results: Any) -> None:
        with DiskBackend(self._location) as backend:
            for key in list(backend.keys("pending/")):
                backend.delete(key)
        super().finish(metadata, results)


def test_a_part_that_is_gone_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    save(tmp_path, {"w": torch.ones(3)})
    with pytest.raises(CheckpointException, match="all ranks write to one folder") as caught:
        dcp.save({"w": torch.zeros(3)}, storage_writer=Forgetful(tmp_path, "x"))
    assert isinstance(cause_of(caught), IncompleteCheckpointError)
    assert torch.equal(whole(tmp_path)["w"], torch.ones(3))
    assert keys(tmp_path) == ["snapshots/x"]


class Failing(CheckpointWriter):
    """Another rank failed, so that nobody finishes."""

    @override
    def finish(self, metadata: Any, results: Any) -> None:
        raise RuntimeError("somebody failed")


def test_a_save_that_failed_is_forgotten_by_the_next_of_its_writer(tmp_path: Path) -> None:
    writer = Failing(tmp_path, "x")
    for _ in range(3):
        with pytest.raises(CheckpointException, match="somebody failed"):
            dcp.save({"w": torch.ones(100_000)}, storage_writer=writer)
        assert len(keys(tmp_path, "pending/")) == 1


def test_what_was_abandoned_is_forgotten_in_time(tmp_path: Path) -> None:
    for begun in (100.0, 900.0):
        writer = Failing(tmp_path, "x", clock=lambda begun=begun: begun)  # type: ignore[misc]
        with pytest.raises(CheckpointException, match="somebody failed"):
            dcp.save({"w": torch.ones(100_000)}, storage_writer=writer)
    last = CheckpointWriter(tmp_path, "x", abandoned_after_seconds=500, clock=lambda: 1000.0)
    dcp.save({"step": 1}, storage_writer=last)
    (left,) = keys(tmp_path, "pending/")
    assert left.startswith("pending/000000000900/")
