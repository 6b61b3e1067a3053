"""A file arrives on a device whole, slice by slice, through memory that is used again in time."""

from pathlib import Path

import pytest
import torch
from blake3 import blake3

from torchstash.content_store import ContentStoreReader, CorruptStorageError
from torchstash.content_store.device_filling import ShortFileError, storage_from_file
from torchstash.tests.content_store.store_fixtures import Store, store

__all__ = ["store"]  # A fixture that pytest finds here.

_SIZES = (1, 4095, 4096, 4097, 8192, 20_000)
_SLICE_BYTES = 4096


def _file(folder: Path, size_bytes: int) -> tuple[str, bytes]:
    path = folder / "file"
    data = bytes(i * 7 % 251 for i in range(size_bytes))
    path.write_bytes(data)
    return str(path), data


@pytest.mark.parametrize("size_bytes", _SIZES)
@pytest.mark.parametrize("checked", [False, True])
def test_every_byte_arrives(size_bytes: int, checked: bool, device: str, tmp_path: Path) -> None:
    path, data = _file(tmp_path, size_bytes)
    hashed = blake3() if checked else None
    storage = storage_from_file(
        path, size_bytes, torch.device(device), hashed, slice_bytes=_SLICE_BYTES
    )
    assert storage.device.type == device
    assert bytes(storage.cpu().tolist()) == data
    assert hashed is None or hashed.digest() == blake3(data).digest()


def test_a_short_file_is_found_out(device: str, tmp_path: Path) -> None:
    path, _ = _file(tmp_path, 5000)
    with pytest.raises(ShortFileError, match="15000 bytes early"):
        storage_from_file(path, 20_000, torch.device(device), None, slice_bytes=_SLICE_BYTES)


def test_memory_is_used_again_only_when_it_was_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a device that copies while the host goes on."""
    log: list[str] = []

    class Event:
        made = 0

        def __init__(self, _: torch.device) -> None:
            self._number = Event.made
            Event.made += 1

        def record(self) -> None:
            log.append(f"copying {self._number}")

        def synchronize(self) -> None:
            log.append(f"copied {self._number}")

    monkeypatch.setattr(torch, "Event", Event)
    monkeypatch.setattr(torch.Tensor, "is_pinned", lambda _: True)
    path, data = _file(tmp_path, 4 * _SLICE_BYTES)
    storage = storage_from_file(
        path, len(data), torch.device("cpu"), None, slice_bytes=_SLICE_BYTES
    )
    assert bytes(storage.tolist()) == data
    assert log == [
        *("copying 0", "copying 1"),
        *("copied 0", "copying 2"),
        *("copied 1", "copying 3"),
        *("copied 2", "copied 3"),
    ]


@pytest.mark.parametrize("verify", [False, True])
def test_large_tensors_are_read_onto_the_device(
    verify: bool, device: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled: list[str] = []

    def spy(path: str, *arguments: object) -> torch.UntypedStorage:
        filled.append(path)
        return storage_from_file(path, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("torchstash.content_store.blobs.storage_from_file", spy)
    tensors = {f"{i}": torch.arange(50_000) + i for i in range(3)}
    store.writer.write_tensors(tensors)
    store.writer.save_state_dict("all", tensors)
    reader = ContentStoreReader(store.location, verify=verify)
    for found in (
        reader.read_tensors(tensors, device=device),
        reader.load_state_dict("all", device=device),
        {name: reader.read_tensor(name, device=device) for name in tensors},
    ):
        for name, tensor in tensors.items():
            assert found[name].device.type == device
            assert torch.equal(found[name].cpu(), tensor)
    assert bool(filled) == (device != "cpu")


def test_damage_is_found_on_the_way(device: str, store: Store) -> None:
    store.writer.write_tensor("x", torch.arange(50_000))
    [path] = (store.location / "blobs").rglob("[0-9a-f]" * 64)
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(1000)
        file.write(b"\xff")
    with pytest.raises(CorruptStorageError, match="hash to"):
        store.fresh_reader().read_tensor("x", device=device)
