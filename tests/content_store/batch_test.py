"""Many tensors at once: one commit, each storage once, nothing written that is there."""

from pathlib import Path

import pytest
import torch

from torchstash.content_store import (
    ContentStoreReader,
    InvalidNameError,
    MissingTensorError,
    UnsupportedTensorError,
)
from torchstash.content_store.contents import slices_of
from torchstash.tests.content_store.storages import bytes_of
from torchstash.tests.content_store.store_fixtures import Store, store

__all__ = ["store"]  # A fixture that pytest finds here.


def many(device: str) -> dict[str, torch.Tensor]:
    tensors = {
        f"{elements}/{i}": torch.arange(elements, device=device) + i
        for elements in (0, 10, 1000, 30_000, 300_000)
        for i in range(5)
    }
    views = {f"view of {name}": tensor[1:] for name, tensor in tensors.items()}
    clones = {f"clone of {name}": tensor.clone() for name, tensor in tensors.items()}
    return tensors | views | clones


def files(location: Path) -> dict[Path, tuple[int, int]]:
    """What tells whether a byte of the store was written."""
    return {
        path: (path.stat().st_size, path.stat().st_mtime_ns)
        for path in location.rglob("*")
        if path.is_file() and not path.name.endswith("-shm")
    }


def test_all_come_back(store: Store, device: str) -> None:
    tensors = many(device)
    store.writer.write_tensors(tensors)
    found = store.reader.read_tensors(tensors)
    assert list(found) == list(tensors)
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
    one_by_one = {name: store.reader.read_tensor(name) for name in store.reader.names()}
    assert all(torch.equal(one_by_one[name], tensor) for name, tensor in tensors.items())


def test_what_is_unchanged_costs_no_byte(store: Store, device: str) -> None:
    tensors = many(device)
    store.writer.write_tensors(tensors)
    store.writer.save_state_dict("s", tensors)
    before = files(store.location)
    store.writer.write_tensors(tensors)
    store.writer.save_state_dict("s", tensors)
    for name, tensor in tensors.items():
        store.writer.write_tensor(name, tensor)
    assert files(store.location) == before


def test_contents_change_places(store: Store) -> None:
    """Contents whose old name is taken over in the commit that gives them a new one."""
    for elements in (10, 1000, 300_000):
        a, b = torch.zeros(elements), torch.ones(elements)
        store.writer.write_tensors({"a": a, "b": b})
        store.writer.write_tensors({"a": b, "b": a})
        store.writer.write_tensors({"a": a, "c": b, "b": a})
        found = store.fresh_reader().read_tensors("abc")
        assert all(map(torch.equal, found.values(), (a, a, b)))


@pytest.mark.parametrize("elements", [10, 300_000])
def test_all_or_none(store: Store, elements: int) -> None:
    good = torch.ones(elements)
    for error, bad in (
        (UnsupportedTensorError, {"bad": torch.ones(3, device="meta")}),
        (InvalidNameError, {"": good}),
    ):
        with pytest.raises(error):
            store.writer.write_tensors({"good": good, "other": good + 1} | bad)
    assert list(store.reader.names()) == []
    assert not any((store.location / "tmp").iterdir())
    store.writer.write_tensors({})


def test_a_missing_name(store: Store) -> None:
    store.writer.write_tensor("x", torch.ones(3))
    with pytest.raises(MissingTensorError, match="absent"):
        store.reader.read_tensors(["x", "absent"])
    assert store.reader.read_tensors([]) == {}


@pytest.mark.parametrize("slice_bytes", [1, 7, 100, 4096])
def test_slices_make_up_the_storage(device: str, slice_bytes: int) -> None:
    storage = torch.arange(25, device=device).untyped_storage()
    slices = []
    for piece in slices_of(storage, slice_bytes=slice_bytes):
        assert len(piece) <= slice_bytes
        slices.append(bytes(piece))
    assert b"".join(slices) == bytes_of(storage)


def test_verifying_a_mapped_file_keeps_its_pages_out(store: Store) -> None:
    """What was hashed is not resident afterwards, and is still there when it is touched."""
    x = torch.arange(8 << 20)
    store.writer.write_tensor("x", x)
    with ContentStoreReader(store.location) as reader:
        before = resident_bytes()
        read = reader.read_tensor("x")
        if before is not None:
            assert (resident_bytes() or 0) - before < x.nbytes // 2
        assert torch.equal(read, x)


def resident_bytes() -> int | None:
    """Of this process; None where the system has no proc(5)."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * 4096 if statm.exists() else None
