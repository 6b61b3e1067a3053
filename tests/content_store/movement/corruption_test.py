"""Wrong bytes at the other side are an error that names what they are of, and nothing is kept."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from torchstash.cache.disk import DiskBackend
from torchstash.content_store import (
    ContentStoreReader,
    ContentStoreWriter,
    CorruptMetadataError,
    CorruptStorageError,
    PlaceUnavailableError,
)
from torchstash.content_store.movement import pull, push
from torchstash.content_store.movement.layout import PART_BYTES
from torchstash.tests.content_store.movement.backends import Asking
from torchstash.tests.content_store.movement.movable_store import assert_moved, fill, large

DAMAGE: dict[str, Callable[[bytes], bytes | None]] = {
    "flipped": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "truncated": lambda data: data[:-1],
    "longer": lambda data: data + b"x",
    "empty": lambda data: b"",
    "other": lambda data: bytes(len(data)),
    "gone": lambda data: None,
}


def pushed(folder: Path, *tensors: torch.Tensor) -> Asking:
    backend = Asking()
    with ContentStoreWriter(folder) as writer:
        writer.write_tensors({f"t{i}": tensor for i, tensor in enumerate(tensors)})
    push(folder, backend)
    return backend


def damage(backend: Asking, key: str, kind: str) -> None:
    data = DAMAGE[kind](backend.values.pop(key))
    if data is not None:
        backend.values[key] = data


def assert_nothing_kept(folder: Path) -> None:
    with DiskBackend(folder) as store:
        assert list(store.keys()) == []
        assert store.stats().stored_bytes == 0
    for path in (folder / "tmp").iterdir():
        # Parts that are not known to be wrong are used again.
        assert path.stat().st_size % PART_BYTES == 0


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("tensor", [torch.arange(5), torch.arange(50_000), large()], ids=len)
def test_wrong_contents(kind: str, tensor: torch.Tensor, tmp_path: Path) -> None:
    backend = pushed(tmp_path / "a", tensor)
    keys = [key for key in backend.values if "/contents/" in key]
    damage(backend, keys[-1], kind)
    with pytest.raises(CorruptStorageError, match="of the tensor 't0' at Asking is damaged"):
        pull(tmp_path / "b", backend)
    assert_nothing_kept(tmp_path / "b")
    # A push that looks repairs it.
    push(tmp_path / "a", backend, verify=True)
    pull(tmp_path / "b", backend)
    with ContentStoreReader(tmp_path / "b") as reader:
        assert reader.read_tensor("t0").equal(tensor)


@pytest.mark.parametrize("kind", [kind for kind in DAMAGE if kind != "gone"])
def test_a_wrong_record(kind: str, tmp_path: Path) -> None:
    backend = pushed(tmp_path / "a", torch.arange(5))
    damage(backend, "store/1/tensors/t0", kind)
    with pytest.raises(CorruptMetadataError, match="records of the tensor 't0' is damaged"):
        pull(tmp_path / "b", backend)
    assert_nothing_kept(tmp_path / "b")
    push(tmp_path / "a", backend)
    assert pull(tmp_path / "b", backend).names_published == 1


def test_every_truncation_of_a_record_is_damage(tmp_path: Path) -> None:
    backend = pushed(tmp_path / "a", torch.arange(5))
    whole = backend.values["store/1/tensors/t0"]
    for length in range(len(whole)):
        backend.values["store/1/tensors/t0"] = whole[:length]
        with pytest.raises(CorruptMetadataError):
            pull(tmp_path / "b", backend)


def test_a_record_in_the_place_of_another(tmp_path: Path) -> None:
    backend = pushed(tmp_path / "a", torch.arange(5), torch.arange(6))
    backend.values["store/1/tensors/t0"] = backend.values["store/1/tensors/t1"]
    with pytest.raises(CorruptMetadataError, match="'t0'"):
        pull(tmp_path / "b", backend)


def test_a_record_of_a_newer_version(tmp_path: Path) -> None:
    backend = pushed(tmp_path / "a", torch.arange(5))
    data = backend.values["store/1/tensors/t0"]
    backend.values["store/1/tensors/t0"] = data[:8] + b"\x02" + data[9:]
    with pytest.raises(PlaceUnavailableError, match="use a newer torchstash"):
        pull(tmp_path / "b", backend)


def test_a_snapshot_is_named(tmp_path: Path) -> None:
    backend = Asking()
    with ContentStoreWriter(tmp_path / "a") as writer:
        writer.save_state_dict("step", {"w": torch.arange(50_000)})
    push(tmp_path / "a", backend)
    key = max(backend.values, key=lambda key: len(backend.values[key]))
    damage(backend, key, "flipped")
    with pytest.raises(CorruptStorageError, match="of the snapshot 'step' at"):
        pull(tmp_path / "b", backend)
    assert_nothing_kept(tmp_path / "b")


@pytest.mark.parametrize("to_store", [False, True])
@pytest.mark.parametrize("tensor", [torch.arange(5000), torch.arange(50_000), large()], ids=len)
def test_damage_in_the_store_that_is_pushed_goes_nowhere(
    to_store: bool, tensor: torch.Tensor, tmp_path: Path
) -> None:
    with ContentStoreWriter(tmp_path / "a") as writer:
        writer.write_tensor("x", tensor)
    files = [p for p in (tmp_path / "a").rglob("*") if p.is_file() and "catalogue" not in p.name]
    largest = max(files, key=lambda path: path.stat().st_size)
    largest.chmod(0o600)
    with largest.open("r+b") as file:
        file.seek(-1000, os.SEEK_END)
        file.write(b"damage")
    backend = Asking()
    with pytest.raises(CorruptStorageError, match="of the tensor 'x'"):
        push(tmp_path / "a", tmp_path / "b" if to_store else backend)
    assert not backend.values
    if to_store:
        assert_nothing_kept(tmp_path / "b")


def test_what_is_damaged_here_is_repaired_by_a_pull(tmp_path: Path) -> None:
    tensors = fill(tmp_path / "a")
    backend = Asking()
    push(tmp_path / "a", backend)
    pull(tmp_path / "b", backend)
    for path in (tmp_path / "b" / "blobs").rglob("*"):
        if path.is_file():
            path.unlink()
    assert pull(tmp_path / "b", backend).moved_bytes > 17 << 20
    assert_moved(tmp_path / "b", tensors)
