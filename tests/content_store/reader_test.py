"""What the reader promises: storages are shared while in use, and are never the store's own."""

import gc
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from torchstash.content_store import (
    ContentStoreError,
    ContentStoreReader,
    ContentStoreWriter,
    DeviceUnavailableError,
    MissingStorageError,
    MissingStoreError,
    MissingTensorError,
    StoreUnavailableError,
    hash_storage,
)
from torchstash.tests.content_store.forks import result_in_child
from torchstash.tests.content_store.store_fixtures import Store, store

__all__ = ["store"]  # A fixture that pytest finds here.

SIZES = pytest.mark.parametrize("elements", [0, 1, 300, 30_000])


def same_storage(a: torch.Tensor, b: torch.Tensor) -> bool:
    return bool(a.untyped_storage()._cdata == b.untyped_storage()._cdata)


@SIZES
def test_views_alias_again(store: Store, device: str, elements: int) -> None:
    x = torch.arange(elements + 2, device=device)
    store.writer.write_tensor("whole", x)
    store.writer.write_tensor("part", x[1:])
    whole, part = store.reader.read_tensor("whole"), store.reader.read_tensor("part")
    assert same_storage(whole, part)
    whole[1] = -5
    assert part[0] == -5


@SIZES
def test_without_the_cache_every_read_is_fresh(store: Store, device: str, elements: int) -> None:
    x = torch.arange(elements + 1, device=device)
    store.writer.write_tensor("x", x)
    reader = store.fresh_reader(cache=False)
    a, b = reader.read_tensor("x"), reader.read_tensor("x")
    assert not same_storage(a, b)
    a.zero_()
    assert torch.equal(b, x)


@SIZES
def test_changing_what_was_read_never_changes_the_store(
    store: Store, device: str, elements: int
) -> None:
    x = torch.arange(elements + 1, device=device)
    store.writer.write_tensor("x", x)
    store.reader.read_tensor("x").fill_(7)
    gc.collect()
    assert torch.equal(store.reader.read_tensor("x"), x)
    assert torch.equal(store.fresh_reader().read_tensor("x"), x)


@SIZES
def test_the_reader_keeps_nothing_alive(store: Store, elements: int) -> None:
    store.writer.write_tensor("x", torch.arange(elements))
    live = store.reader._source._live
    assert live is not None
    read = store.reader.read_tensor("x")
    assert len(live._storages) == 1
    del read
    gc.collect()
    assert len(live._storages) == 0


def test_a_storage_held_by_the_autograd_engine_alone_is_shared(store: Store) -> None:
    """What keeps it alive need not be a Python object."""
    store.writer.write_tensor("x", torch.arange(3.0))
    factor = torch.ones(3, requires_grad=True)
    read = store.reader.read_tensor("x")
    address = read.untyped_storage()._cdata
    product = (read * factor).sum()
    del read
    gc.collect()
    assert store.reader.read_tensor("x").untyped_storage()._cdata == address
    product.backward()
    assert torch.equal(factor.grad, torch.arange(3.0))  # type: ignore[arg-type]


def test_a_storage_that_its_user_resized_is_not_shared(store: Store) -> None:
    x = torch.arange(300)
    store.writer.write_tensor("x", x)
    held = store.reader.read_tensor("x")
    held.untyped_storage().resize_(0)
    assert torch.equal(store.reader.read_tensor("x"), x)
    assert torch.equal(store.reader.read_tensor("x"), x)


def test_storages_are_read_to_the_cpu(store: Store, device: str) -> None:
    x = torch.arange(300, device=device)
    digest = store.writer.write_storage(x.untyped_storage())
    storage = store.reader.read_storage(digest)
    assert storage.device.type == "cpu"
    assert hash_storage(storage) == digest
    there = store.reader.read_storage(digest, device=device)
    assert there.device == x.device
    assert hash_storage(there) == digest
    assert store.reader.read_storage(digest.upper(), device="cpu")._cdata == storage._cdata


def test_storages_and_tensors_share(store: Store, device: str) -> None:
    x = torch.arange(300, device=device)
    store.writer.write_tensor("x", x)
    read = store.reader.read_tensor("x")
    storage = store.reader.read_storage(hash_storage(x.untyped_storage()), device=device)
    assert storage._cdata == read.untyped_storage()._cdata


def test_what_is_missing_is_a_file_not_found_error(store: Store) -> None:
    for read, error in (
        (lambda: store.reader.read_tensor("absent"), MissingTensorError),
        (lambda: store.reader.read_tensor_metadata("absent"), MissingTensorError),
        (lambda: store.reader.read_storage("0" * 64), MissingStorageError),
        (
            lambda: store.reader.read_storage("da39a3ee5e6b4b0d3255bfef95601890afd80709"),
            MissingStorageError,
        ),
        (lambda: store.reader.read_storage("../../etc/passwd"), MissingStorageError),
    ):
        with pytest.raises(FileNotFoundError) as caught:
            read()
        assert type(caught.value) is error
        assert isinstance(caught.value, ContentStoreError)


def test_a_missing_store_is_a_file_not_found_error_and_stays_missing(tmp_path: Path) -> None:
    location = tmp_path / "absent"
    reader = ContentStoreReader(location)
    for read in (
        lambda: reader.read_tensor("x"),
        lambda: reader.read_tensor_metadata("x"),
        lambda: reader.read_storage("0" * 64),
        reader.names,
    ):
        with pytest.raises(MissingStoreError, match="absent") as caught:
            read()
        assert isinstance(caught.value, FileNotFoundError)
        assert isinstance(caught.value, ContentStoreError)
    assert not any(tmp_path.iterdir())
    reader.close()
    with ContentStoreWriter(location) as writer:
        writer.write_tensor("x", torch.ones(3))
    assert torch.equal(reader.read_tensor("x"), torch.ones(3))
    reader.close()


def test_a_relative_location_is_that_of_the_beginning(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.writer.write_tensor("x", torch.ones(3))
    monkeypatch.chdir(store.location.parent)
    with ContentStoreReader("store") as reader:
        monkeypatch.chdir("/")
        assert torch.equal(reader.read_tensor("x"), torch.ones(3))


def test_a_closed_reader(store: Store) -> None:
    store.writer.write_tensor("x", torch.arange(30_000))
    read = store.reader.read_tensor("x")
    store.reader.close()
    assert torch.equal(read, torch.arange(30_000))
    with pytest.raises(StoreUnavailableError, match="closed"):
        store.reader.read_tensor("x")


def test_a_device_that_is_not_here(store: Store) -> None:
    absent = "xpu" if not torch.xpu.is_available() else "hpu"
    store.writer.write_tensor("x", torch.ones(3))
    for wrong in (absent, f"{absent}:3", "toaster"):
        with pytest.raises(DeviceUnavailableError, match='pass device="cpu"'):
            store.reader.read_tensor("x", device=wrong)
        with pytest.raises(DeviceUnavailableError):
            store.reader.read_storage("0" * 64, device=wrong)


def test_threads_share_one_storage(store: Store) -> None:
    for i in range(4):
        store.writer.write_tensor(str(i), torch.full((200_000,), i))
    together = threading.Barrier(8)

    def read(_: int) -> list[torch.Tensor]:
        together.wait()
        return [store.reader.read_tensor(str(i)) for i in range(4)]

    for _ in range(20):
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(read, range(8)))
        for i in range(4):
            assert len({tensors[i].untyped_storage()._cdata for tensors in results}) == 1
            assert all(bool((tensors[i] == i).all()) for tensors in results)
        del results


def test_in_a_forked_child(store: Store) -> None:
    """As in the workers of a data loader: large storages are verified there too."""
    x = torch.arange(3 << 20)
    store.writer.write_tensor("x", x)
    store.reader.read_tensor("x")
    expected = hash_storage(x.untyped_storage())
    assert result_in_child(lambda: hash_in(store.fresh_reader())) == expected
    assert result_in_child(lambda: hash_in(store.reader)) == expected


def hash_in(reader: ContentStoreReader) -> str:
    return hash_storage(reader.read_tensor("x").untyped_storage())


def test_more_mappings_than_a_process_may_have(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing can be mapped, files are read."""

    def refuse(*_: object) -> torch.UntypedStorage:
        raise RuntimeError("unable to mmap 240000 bytes: Cannot allocate memory (12)")

    x = torch.arange(30_000)
    store.writer.write_tensor("x", x)
    monkeypatch.setattr(torch.UntypedStorage, "from_file", refuse)
    assert torch.equal(store.fresh_reader().read_tensor("x"), x)


def test_large_storages_are_mapped_and_leave_no_open_file(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped: list[str] = []
    map_file: Callable[..., torch.UntypedStorage] = torch.UntypedStorage.from_file  # type: ignore[assignment]

    def noting(path: str, shared: bool, size_bytes: int) -> torch.UntypedStorage:
        mapped.append(path)
        assert not shared
        return map_file(path, shared, size_bytes)

    store.writer.write_tensor("large", torch.arange(30_000))
    store.writer.write_tensor("small", torch.arange(300))
    reader = store.fresh_reader(cache=False)
    held = [reader.read_tensor("large"), reader.read_tensor("small")]
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208 - of this process, by their numbers
    monkeypatch.setattr(torch.UntypedStorage, "from_file", noting)
    held += [reader.read_tensor(name) for name in ("large", "small") for _ in range(50)]
    assert len(mapped) == 50
    assert len(os.listdir("/dev/fd")) < before + 50  # noqa: PTH208 - of this process, by their numbers
    assert len(held) == 102
