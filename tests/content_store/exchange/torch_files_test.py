"""`.pt` files and folders of PyTorch's own content store: read as data, believed in nothing."""

import os
import pickle
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch.utils import _content_store as theirs
from typing_extensions import override

from torchstash.content_store import (
    ContentStoreReader,
    ForeignFileError,
    UnsupportedValueError,
)
from torchstash.content_store.exchange import import_file
from torchstash.tests.content_store.tensor_equality import assert_same


class Trap:
    """Runs a program when it is unpickled."""

    def __init__(self, sprung: Path) -> None:
        self._sprung = sprung

    @override
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self._sprung),)


def checkpoint() -> dict[str, object]:
    weight = torch.arange(60_000.0).reshape(200, 300)
    model = OrderedDict(weight=torch.nn.Parameter(weight), tied=weight, view=weight.t()[1:])
    return {"model": model, "step": 7, "list": [torch.ones(2, dtype=torch.int8)]}


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt"])
def test_a_checkpoint_becomes_a_snapshot(suffix: str, tmp_path: Path) -> None:
    saved = checkpoint()
    torch.save(saved, tmp_path / f"c{suffix}")
    import_file(tmp_path / "s", tmp_path / f"c{suffix}", snapshot="c")
    with ContentStoreReader(tmp_path / "s") as reader:
        loaded = reader.load_state_dict("c")
    assert loaded["step"] == 7
    for name, tensor in saved["model"].items():  # type: ignore[attr-defined]
        assert_same(loaded["model"][name], tensor)
    model = loaded["model"]
    assert model["view"].untyped_storage()._cdata == model["tied"].untyped_storage()._cdata


def test_a_checkpoint_becomes_tensors(tmp_path: Path) -> None:
    torch.save(checkpoint(), tmp_path / "c.pt")
    with pytest.raises(UnsupportedValueError, match="at 'step'"):
        import_file(tmp_path / "s", tmp_path / "c.pt")
    report = import_file(tmp_path / "s", tmp_path / "c.pt", prefix="c/", tensors_only=True)
    assert report.names == ("c/model.weight", "c/model.tied", "c/model.view", "c/list.0")
    report = import_file(tmp_path / "t", tmp_path / "c.pt", names=["model.view"], snapshot="v")
    with ContentStoreReader(tmp_path / "t") as reader:
        assert list(reader.load_state_dict("v")) == ["model.view"]
    with pytest.raises(ValueError, match="a name of its own"):
        import_file(tmp_path / "s", tmp_path / "c.pt", prefix="x", snapshot="y")


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    torch.save({"a": Trap(sprung)}, tmp_path / "zip.pt")
    torch.save({"a": Trap(sprung)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "pickle.pt").write_bytes(pickle.dumps(Trap(sprung)))
    for name in ("zip.pt", "old.pt", "pickle.pt"):
        with pytest.raises(ForeignFileError, match=name):
            import_file(tmp_path / "s", tmp_path / name, snapshot="x")
    assert not sprung.exists()
    assert not (tmp_path / "s").exists()


def test_a_file_that_is_cut_off(tmp_path: Path) -> None:
    torch.save(checkpoint(), tmp_path / "c.pt")
    whole = (tmp_path / "c.pt").read_bytes()
    for length in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "c.pt").write_bytes(whole[:length])
        with pytest.raises(ForeignFileError):
            import_file(tmp_path / "s", tmp_path / "c.pt", snapshot="x")
    with pytest.raises(FileNotFoundError):
        import_file(tmp_path / "s", tmp_path / "absent.pt", snapshot="x")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    location = tmp_path / "theirs"
    writer = theirs.ContentStoreWriter(str(location), stable_hash=True)
    for name, tensor in their_tensors().items():
        writer.write_tensor(name, tensor)
    return location


def their_tensors() -> dict[str, torch.Tensor]:
    weight = torch.arange(12.0).reshape(3, 4)
    return {
        "a/weight": weight,
        "a/view": weight.t()[1:],
        "b": torch.ones(2, dtype=torch.complex64).conj(),
        "step": torch.tensor(3),
    }


def test_pytorchs_own_store(tmp_path: Path, folder: Path) -> None:
    assert import_file(tmp_path / "s", folder).names == ("a/view", "a/weight", "b", "step")
    import_file(tmp_path / "s", folder, snapshot="all")
    with ContentStoreReader(tmp_path / "s") as reader:
        for name, tensor in their_tensors().items():
            assert_same(reader.read_tensor(name), tensor)
        loaded = reader.load_state_dict("all")
    view, weight = loaded["a/view"], loaded["a/weight"]
    assert view.untyped_storage()._cdata == weight.untyped_storage()._cdata


@pytest.mark.parametrize(
    ("described", "told"),
    [
        ("text", "does not describe"),
        ((torch.float32, "../tensors/b", 0, (1,), (1,), {}), "no hash"),
        ((torch.float32, "HASH", 0, (13,), (1,), {}), "leaves its storage of 48 bytes"),
        ((torch.float32, "HASH", -1, (1,), (1,), {}), "leaves its storage"),
        ((torch.float32, "HASH", 0, (2, 1 << 62), (1 << 62, 1 << 62), {}), "leaves its storage"),
        ((torch.float32, "HASH", 0, (2,), (1, 1), {}), "leaves its storage"),
        ((torch.float32, "HASH", 0, (2.0,), (1,), {}), "leaves its storage"),
        ((torch.float32, "HASH", 0, (2,), (1,), {"odd": True}), "flags"),
    ],
)
def test_a_description_that_lies(
    described: object, told: str, tmp_path: Path, folder: Path
) -> None:
    digest = theirs.hash_storage(their_tensors()["a/weight"].untyped_storage(), stable_hash=True)
    if isinstance(described, tuple):
        described = tuple(digest if each == "HASH" else each for each in described)
    torch.save(described, folder / "tensors" / "lie")
    with pytest.raises(ForeignFileError, match=told):
        import_file(tmp_path / "s", folder)
    assert not (tmp_path / "s").exists()


def test_a_folder_with_other_things(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(ForeignFileError, match="no folder 'tensors'"):
        import_file(tmp_path / "s", tmp_path)
    torch.save(Trap(tmp_path / "sprung"), folder / "tensors" / "trap")
    with pytest.raises(ForeignFileError, match="trap"):
        import_file(tmp_path / "s", folder)
    assert not (tmp_path / "sprung").exists()
    (folder / "tensors" / "trap").unlink()
    (folder / "tensors" / "link").symlink_to("/etc/hostname")
    with pytest.raises(ForeignFileError, match="no plain file"):
        import_file(tmp_path / "s", folder)
