"""Many contents read together: in one go where all is well, and each told apart where it is not."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from torchstash.cache.disk import DiskBackend
from torchstash.content_store import (
    ContentStoreReader,
    CorruptStorageError,
    CorruptStoreError,
    hash_storage,
)
from torchstash.tests.content_store.store_fixtures import Store, store

__all__ = ["store"]  # A fixture that pytest finds here.

# In the catalogue, in the packed file (with gaps of all lengths between them), and in files.
ELEMENTS = [0, 1, 100, 128, *range(129, 161, 3), 2000, 8000, 9000, 20_000, 400_000]

Load = Callable[[ContentStoreReader], dict[str, torch.Tensor]]


def tensors() -> dict[str, torch.Tensor]:
    return {f"{count}": torch.arange(count) + count for count in ELEMENTS}


def by_names(reader: ContentStoreReader) -> dict[str, torch.Tensor]:
    return reader.read_tensors(tensors())


def as_snapshot(reader: ContentStoreReader) -> dict[str, torch.Tensor]:
    loaded: dict[str, torch.Tensor] = reader.load_state_dict("s")
    return loaded


@pytest.fixture(params=[by_names, as_snapshot])
def load(request: pytest.FixtureRequest, store: Store) -> Load:
    """A way to read `tensors` from the store, which has them."""
    if request.param is by_names:
        store.writer.write_tensors(tensors())
    else:
        store.writer.save_state_dict("s", tensors())
    chosen: Load = request.param
    return chosen


def require_all(found: dict[str, torch.Tensor]) -> None:
    assert list(found) == list(tensors())
    for name, expected in tensors().items():
        assert torch.equal(found[name], expected), name


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("mode", ["mapped", "copied"])
def test_all_is_well(store: Store, load: Load, verify: bool, mode: str) -> None:
    with ContentStoreReader(store.location, verify=verify, mode=mode) as reader:
        found = load(reader)
        require_all(found)
        for tensor in found.values():
            tensor.zero_()
        del found, tensor
        require_all(load(reader))


def extent_of(location: Path, name: str) -> tuple[int, int]:
    digest = bytes.fromhex(hash_storage(tensors()[name].untyped_storage()))
    connection = sqlite3.connect(location / "catalogue.sqlite3")
    query = "SELECT packed_offset_bytes, size_bytes FROM blobs WHERE digest = ?"
    [(offset, size)] = connection.execute(query, (digest,)).fetchall()
    connection.close()
    return int(offset), int(size)


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("name", ["129", "150", "8000"])
def test_one_of_the_packed_ones_is_damaged(
    store: Store, load: Load, name: str, verify: bool
) -> None:
    offset, size = extent_of(store.location, name)
    with (store.location / "packed.bin").open("r+b") as file:
        file.seek(offset + size // 2)
        file.write(b"\xff")
    with pytest.raises(CorruptStorageError, match=hash_storage(tensors()[name].untyped_storage())):
        load(store.fresh_reader(verify=verify))


@pytest.mark.parametrize("verify", [True, False])
def test_the_packed_file_ends_early(store: Store, load: Load, verify: bool) -> None:
    offset, size = extent_of(store.location, "150")
    with (store.location / "packed.bin").open("r+b") as file:
        file.truncate(offset + size - 1)
    with pytest.raises(CorruptStoreError, match="bytes"):
        load(store.fresh_reader(verify=verify))


@pytest.mark.parametrize("damage", ["cut", "gone"])
@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("mode", ["mapped", "copied"])
def test_a_file_is_short_or_gone(
    store: Store, load: Load, damage: str, verify: bool, mode: str
) -> None:
    digest = hash_storage(tensors()["20000"].untyped_storage())
    path = store.location / "blobs" / digest[:2] / digest
    if damage == "cut":
        path.chmod(0o600)
        with path.open("r+b") as file:
            file.truncate(tensors()["20000"].nbytes - 1)
    else:
        path.unlink()
    with (
        ContentStoreReader(store.location, verify=verify, mode=mode) as reader,
        pytest.raises(CorruptStorageError, match=digest),
    ):
        load(reader)


def test_places_that_were_used_anew_since_the_look_up(
    store: Store, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies there now is not believed: everything is looked up again."""
    look_ups: list[str] = []

    def then_moved(name: str) -> None:
        original = getattr(DiskBackend, name)

        def moved(backend: DiskBackend, *arguments: object) -> object:
            found = original(backend, *arguments)
            look_ups.append(name)
            if len(look_ups) == 1:
                move_everything(store)
            return found

        monkeypatch.setattr(DiskBackend, name, moved)

    then_moved("locate_all" if load is by_names else "locate_linked")
    require_all(load(store.fresh_reader()))
    assert len(look_ups) > 1


def move_everything(store: Store) -> None:
    """Other bytes where everything lay, and everything elsewhere."""
    writer = store.writer
    others = {f"other {name}": ~tensor for name, tensor in reversed(tensors().items())}
    if any(store.reader.names()):
        for name in tensors():
            writer.delete_tensor(name)
        writer.write_tensors(others)
        writer.write_tensors(tensors())
    else:
        writer.delete_snapshot("s")
        writer.write_tensors(others)
        writer.save_state_dict("s", tensors())
