"""Near and far: what is near is read there, what is not is fetched, verified and kept."""

from pathlib import Path

import pytest
import torch

from torchstash.cache import Digest, DiskBackend, RemoteCacheBackend
from torchstash.content_store import (
    ContentStoreReader,
    ContentStoreWriter,
    CorruptStorageError,
    MissingSnapshotError,
    MissingStorageError,
    MissingTensorError,
    NotInStoreError,
    PlaceUnavailableError,
    PlaceUnlistableError,
)
from torchstash.content_store.movement import TieredReader, push
from torchstash.content_store.movement.layout import PART_BYTES, contents_key
from torchstash.tests.content_store.movement.backends import (
    BACKENDS,
    Asking,
    FailingAt,
    Plain,
)
from torchstash.tests.content_store.movement.movable_store import fill, state_dict
from torchstash.tests.content_store.tensor_equality import assert_same


@pytest.fixture
def tensors(tmp_path: Path) -> dict[str, torch.Tensor]:
    return fill(tmp_path / "far", with_large=False)


@pytest.fixture
def far(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> Asking:
    backend = Asking()
    push(tmp_path / "far", backend)
    return backend


def test_what_is_read_is_near_afterwards(
    tmp_path: Path, far: Asking, tensors: dict[str, torch.Tensor]
) -> None:
    with TieredReader(tmp_path / "near", far) as reader:
        assert_same(reader.read_tensor("weight"), tensors["weight"])
        assert list(ContentStoreReader(tmp_path / "near").names()) == ["weight"]
        assert_same(reader.load_state_dict("step 1")["all"]["middle"], tensors["middle"])
        found = reader.read_tensors(["middle", "empty"])
        assert_same(found["middle"], tensors["middle"])
        assert reader.read_tensor_metadata("view/of weight").dtype == "float32"
        assert list(reader.names()) == sorted(tensors, key=str.encode)
        assert list(reader.snapshots("st")) == ["step 1"]
        steps = far.before = FailingAt(0)
        reader.read_tensor("weight")
        assert reader.load_state_dict("step 1")["step"] == state_dict(tensors)["step"]
        assert steps.steps == 0
    assert_same(ContentStoreReader(tmp_path / "near").read_tensor("middle"), tensors["middle"])


def test_a_store_in_another_folder_is_a_far_place(
    tmp_path: Path, tensors: dict[str, torch.Tensor]
) -> None:
    with TieredReader(tmp_path / "near", tmp_path / "far") as reader:
        assert_same(reader.read_tensor("weight"), tensors["weight"])
        assert list(reader.names("m")) == ["middle"]


def test_storages_by_digest(tmp_path: Path, far: Asking) -> None:
    with ContentStoreWriter(tmp_path / "far") as writer:
        digest = writer.write_storage(torch.arange(9).untyped_storage())
    with TieredReader(tmp_path / "near", far) as reader:
        assert reader.read_storage(digest).nbytes() == 72
        for absent in ("0" * 64, "no digest"):
            with pytest.raises(MissingStorageError):
                reader.read_storage(absent)


@pytest.mark.parametrize("kind", [*BACKENDS, "store"])
def test_any_contents_by_their_digest(kind: str, tmp_path: Path) -> None:
    """What tensors and snapshots lead to, small, large, of whole parts and empty."""
    tensors = fill(tmp_path / "far")
    tensors["whole parts"] = torch.arange(PART_BYTES // 4, dtype=torch.int64)
    with ContentStoreWriter(tmp_path / "far") as writer:
        writer.write_tensor("whole parts", tensors["whole parts"])
        digests = {
            name: writer.compute_tensor_metadata(tensor).storage_digest.hex()
            for name, tensor in tensors.items()
        }
    backend: Path | RemoteCacheBackend[bytes] = tmp_path / "far"
    if kind != "store":
        backend = BACKENDS[kind]()
        push(tmp_path / "far", backend)
    with TieredReader(tmp_path / "near", backend) as reader:
        for name, digest in digests.items():
            found = reader.read_storage(digest)
            theirs = torch.empty(0, dtype=torch.uint8).set_(found)
            ours = torch.empty(0, dtype=torch.uint8).set_(tensors[name].untyped_storage())
            assert theirs.equal(ours)
    with ContentStoreReader(tmp_path / "near") as near:
        assert near.read_storage(digests["large"]).nbytes() == 17 << 20
        assert list(near.names()) == []


def test_wrong_contents_under_a_digest_are_not_handed_out(tmp_path: Path, far: Asking) -> None:
    digest = ContentStoreReader(tmp_path / "far").read_tensor_metadata("weight").storage_digest
    key = contents_key(Digest(digest))
    far.values[key] = bytes(len(far.values[key]))
    with TieredReader(tmp_path / "near", far) as reader:
        with pytest.raises(CorruptStorageError, match=digest.hex()):
            reader.read_storage(digest.hex())
        del far.values[key]
        with pytest.raises(MissingStorageError, match="is neither"):
            reader.read_storage(digest.hex())


def test_missing_in_both_says_so(tmp_path: Path, far: Asking) -> None:
    with TieredReader(tmp_path / "near", far) as reader:
        with pytest.raises(MissingTensorError, match=r"the tensor 'x' is neither in .* nor at"):
            reader.read_tensor("x")
        with pytest.raises(MissingSnapshotError, match="the snapshot 'x' is neither"):
            reader.load_state_dict("x")
        with pytest.raises(NotInStoreError):
            reader.fetch(["weight", "x"])
    with (
        TieredReader(tmp_path / "near", Plain()) as reader,
        pytest.raises(PlaceUnlistableError),
    ):
        list(reader.names())


def test_a_far_place_that_fails_is_not_asked_for_what_is_near(
    tmp_path: Path, far: Asking, tensors: dict[str, torch.Tensor]
) -> None:
    with TieredReader(tmp_path / "near", far) as reader:
        reader.fetch(["weight"])
    with TieredReader(tmp_path / "near", far) as reader:
        far.before = FailingAt(0)
        assert_same(reader.read_tensor("weight"), tensors["weight"])
        with pytest.raises(PlaceUnavailableError, match="Asking failed while moving"):
            reader.read_tensor("middle")
        # It is back.
        assert_same(reader.read_tensor("middle"), tensors["middle"])


def test_what_is_damaged_near_is_fetched_again(
    tmp_path: Path, far: Asking, tensors: dict[str, torch.Tensor]
) -> None:
    with TieredReader(tmp_path / "near", far) as reader:
        reader.fetch(["weight"])
    file = max((tmp_path / "near" / "blobs").rglob("*"), key=lambda path: path.stat().st_size)
    file.chmod(0o600)
    file.write_bytes(bytes(file.stat().st_size))
    with TieredReader(tmp_path / "near", far) as reader:
        assert_same(reader.read_tensor("weight"), tensors["weight"])
    file.chmod(0o600)
    file.write_bytes(bytes(file.stat().st_size))
    far.before = FailingAt(0)
    with TieredReader(tmp_path / "near", far) as reader, pytest.raises(CorruptStorageError):
        reader.read_tensor("weight")


def test_wrong_bytes_from_afar_are_not_kept(tmp_path: Path, far: Asking) -> None:
    for key in far.values:
        if "/contents/" in key:
            far.values[key] = bytes(len(far.values[key]))
    with (
        TieredReader(tmp_path / "near", far) as reader,
        pytest.raises(CorruptStorageError, match="'weight'"),
    ):
        reader.read_tensor("weight")
    with DiskBackend(tmp_path / "near") as store:
        assert not list(store.keys())


def test_a_near_store_that_cannot_be_written_is_read_all_the_same(
    tmp_path: Path,
    far: Asking,
    tensors: dict[str, torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Root writes everywhere: a file in the place of the folder stands for a medium that it cannot.
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    with TieredReader(blocked / "near", far) as reader:
        assert_same(reader.read_tensor("weight"), tensors["weight"])
        assert_same(reader.load_state_dict("step 1")["all"]["middle"], tensors["middle"])
        steps = far.before = FailingAt(0)
        assert_same(reader.read_tensor("weight"), tensors["weight"])
        assert steps.steps == 0
        assert len(list((tmp_path / "tmp").iterdir())) == 1
    assert not list((tmp_path / "tmp").iterdir())
