"""Damage below the catalogue: found on the first read, named, and repaired by writing again."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from torchstash.content_store import CorruptStorageError, CorruptStoreError, hash_storage
from torchstash.tests.content_store.store_fixtures import Store, store

__all__ = ["store"]  # A fixture that pytest finds here.

LARGE = torch.arange(30_000)  # A file.
PACKED = torch.arange(300)  # In the packed file.
SMALL = torch.arange(30)  # In the catalogue.


def blob_files(store: Store) -> list[Path]:
    return [path for path in (store.location / "blobs").rglob("*") if path.is_file()]


def change(path: Path, edit: Callable[[bytearray], None]) -> None:
    """Changes a file in place, as a failing disk does."""
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    edit(data)
    with path.open("r+b") as file:
        file.truncate()
        file.write(data)


def flip(data: bytearray) -> None:
    data[len(data) // 2] ^= 1


def cut(data: bytearray) -> None:
    del data[-1:]


def grow(data: bytearray) -> None:
    data.append(0)


def empty(data: bytearray) -> None:
    data.clear()


@pytest.mark.parametrize("edit", [flip, cut, grow, empty])
def test_damaged_files(store: Store, edit: Callable[[bytearray], None]) -> None:
    store.writer.write_tensor("weights", LARGE)
    [path] = blob_files(store)
    change(path, edit)
    for read in (
        lambda: store.reader.read_tensor("weights"),
        lambda: store.reader.read_storage(hash_storage(LARGE.untyped_storage())),
        lambda: store.fresh_reader(cache=False).read_tensor("weights"),
    ):
        with pytest.raises(CorruptStorageError, match="damaged") as caught:
            read()
        assert hash_storage(LARGE.untyped_storage()) in str(caught.value)
    with pytest.raises(CorruptStorageError, match="of the tensor 'weights'"):
        store.reader.read_tensor("weights")
    store.writer.write_tensor("weights", LARGE)
    assert torch.equal(store.reader.read_tensor("weights"), LARGE)
    assert torch.equal(store.fresh_reader().read_tensor("weights"), LARGE)


def test_a_missing_file(store: Store) -> None:
    store.writer.write_tensor("x", LARGE)
    [path] = blob_files(store)
    path.unlink()
    with pytest.raises(CorruptStorageError, match="No such file"):
        store.reader.read_tensor("x")
    store.writer.write_tensor("x", LARGE)
    assert torch.equal(store.reader.read_tensor("x"), LARGE)


@pytest.mark.parametrize("edit", [cut, empty])
def test_a_short_file_is_never_mapped_even_unverified(
    store: Store, edit: Callable[[bytearray], None]
) -> None:
    store.writer.write_tensor("x", LARGE)
    change(blob_files(store)[0], edit)
    with pytest.raises(CorruptStorageError, match="of 240000 bytes"):
        store.fresh_reader(verify=False).read_tensor("x")


def test_unverified_reads_trust_the_bytes(store: Store) -> None:
    store.writer.write_tensor("x", LARGE)
    change(blob_files(store)[0], flip)
    read = store.fresh_reader(verify=False).read_tensor("x")
    assert (read != LARGE).sum() == 1


def test_a_file_is_hashed_once_and_again_when_it_has_changed(store: Store) -> None:
    store.writer.write_tensor("x", LARGE)
    reader = store.fresh_reader(cache=False)
    reader.read_tensor("x")
    [path] = blob_files(store)
    before = path.stat()
    change(path, flip)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not torch.equal(reader.read_tensor("x"), LARGE)  # Believed to be the file of before.
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    with pytest.raises(CorruptStorageError, match="hash to"):
        reader.read_tensor("x")


def test_small_values_are_always_checked(store: Store) -> None:
    """Nothing tells whether a value in the catalogue has changed."""
    store.writer.write_tensor("x", SMALL)
    reader = store.fresh_reader(cache=False)
    assert torch.equal(reader.read_tensor("x"), SMALL)
    catalogue = next(path for path in store.location.iterdir() if is_sqlite(path))
    connection = sqlite3.connect(catalogue)
    with connection:
        connection.execute(
            "UPDATE blobs SET data = zeroblob(size_bytes) WHERE size_bytes = ?", (SMALL.nbytes,)
        )
    connection.close()
    with pytest.raises(CorruptStorageError, match="hash to"):
        reader.read_tensor("x")
    store.writer.write_tensor("x", SMALL)
    assert torch.equal(reader.read_tensor("x"), SMALL)


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("edit", [flip, cut, empty])
def test_packed_values_are_always_checked(
    store: Store, edit: Callable[[bytearray], None], verify: bool
) -> None:
    store.writer.write_tensor("x", PACKED)
    change(store.location / "packed.bin", edit)
    with pytest.raises(CorruptStorageError, match="hash to" if edit is flip else "bytes are left"):
        store.fresh_reader(verify=verify).read_tensor("x")
    store.writer.write_tensor("x", PACKED)
    assert torch.equal(store.reader.read_tensor("x"), PACKED)


def is_sqlite(path: Path) -> bool:
    return path.is_file() and path.read_bytes()[:15] == b"SQLite format 3"


def test_a_catalogue_of_noise(store: Store) -> None:
    store.writer.write_tensor("x", SMALL)
    store.writer.close()
    store.reader.close()
    catalogue = next(path for path in store.location.iterdir() if is_sqlite(path))
    catalogue.write_bytes(os.urandom(8192))
    for side in store.location.iterdir():
        if side.name.startswith(catalogue.name) and side != catalogue:
            side.unlink()
    with pytest.raises(CorruptStoreError):
        store.fresh_reader().read_tensor("x")
