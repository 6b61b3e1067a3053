"""Batches: digests in the order of the storages, whatever their sizes and devices."""

from collections.abc import Iterator

import pytest
import torch
from blake3 import blake3

from torchstash.content_store import (
    StreamCaptureError,
    UnsupportedStorageError,
    hash_storage,
    hash_storages,
)
from torchstash.tests.content_store.forks import result_in_child
from torchstash.tests.content_store.golden_vectors import GOLDEN_SIZES, golden_digests, pattern
from torchstash.tests.content_store.storages import storage_of


def test_none(device: str) -> None:
    del device
    assert hash_storages([]) == []


def test_golden_vectors_in_one_batch(device: str) -> None:
    storages = (storage_of(pattern(size_bytes), device) for size_bytes in GOLDEN_SIZES)
    assert hash_storages(storages) == list(golden_digests().values())


def test_many_of_sizes_around_every_threshold(device: str) -> None:
    """Small ones, ones that go over threads, and ones that the library spreads over threads."""
    sizes = [0, 7, 4096, 32 << 10, (32 << 10) - 1, 300_000, 2 << 20, (8 << 20) - 1, 8 << 20] * 3
    contents = [bytes([i]) * size for i, size in enumerate(sizes)]
    storages = [storage_of(data, device) for data in contents]
    assert hash_storages(storages) == [blake3(data).hexdigest() for data in contents]


def test_the_same_storage_twice(device: str) -> None:
    storage = storage_of(pattern(5000), device)
    assert hash_storages([storage, storage]) == [hash_storage(storage)] * 2


def test_devices_are_mixed(device: str) -> None:
    contents = [pattern(size) for size in (10, 5000, 70_000, 3)]
    devices = [device, "cpu", device, "cpu"]
    storages = [storage_of(data, on) for data, on in zip(contents, devices, strict=True)]
    assert hash_storages(storages) == [blake3(data).hexdigest() for data in contents]


def test_one_that_cannot_be_hashed_fails_the_batch_first(device: str) -> None:
    def storages() -> Iterator[torch.UntypedStorage]:
        yield storage_of(b"abc", device)
        yield torch.empty(4, device="meta").untyped_storage()

    with pytest.raises(UnsupportedStorageError, match="meta device"):
        hash_storages(storages())
    with pytest.raises(TypeError, match=r"untyped_storage\(\)"):
        hash_storages([torch.ones(3, device=device)])  # type: ignore[list-item]


def test_in_a_forked_child() -> None:
    storages = [torch.arange(200_000 + i).untyped_storage() for i in range(8)]
    expected = hash_storages(storages)
    assert result_in_child(lambda: " ".join(hash_storages(storages))) == " ".join(expected)


def test_another_stream_and_another_device_than_the_current(device: str) -> None:
    """Work of the current stream is seen, on whichever device the storage is."""
    if device in {"cpu", "mps"}:
        return  # They have no streams to choose from, and one device.
    module = torch.get_device_module(device)
    for index in range(module.device_count()):
        for current in range(module.device_count()):
            with module.device(current):
                x = torch.zeros(5_000_000, dtype=torch.uint8, device=f"{device}:{index}")
                with module.stream(module.Stream(x.device)):
                    x.add_(1)
                    assert hash_storage(x.untyped_storage()) == blake3(b"\1" * len(x)).hexdigest()
                assert module.current_device() == current


def test_while_a_graph_is_captured(device: str) -> None:
    if device != "cuda":
        return  # The others capture nothing.
    x = torch.ones(100, device=device)
    hash_storage(x.untyped_storage())
    with (
        pytest.raises(StreamCaptureError, match="graph is captured"),
        torch.cuda.graph(torch.cuda.CUDAGraph()),
    ):
        hash_storage(x.untyped_storage())
    assert hash_storage(x.untyped_storage()) == hash_storage(x.cpu().untyped_storage())
