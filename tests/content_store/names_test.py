"""A name is a key and never a path."""

from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from torchstash.content_store import (
    ContentStoreError,
    ContentStoreWriter,
    InvalidNameError,
    MissingTensorError,
)
from torchstash.tests.content_store.store_fixtures import Store, store

__all__ = ["store"]  # A fixture that pytest finds here.

ODD_NAMES = (
    "../x", "../../etc/passwd", "/x", "x/", "//", ".", "..", "a", "a/b", "a/b/c", "A", "\0",
    "a\0", "a\0b", "%", "_", "*", "'; DROP TABLE entries; --", "\n", " ", "é", "e\u0301", "ß",
    "\U0001f600", "\uffff", "C:\\x", "con", "storages/" + "0" * 64, "tensors/x", "x" * 1024,
    "é" * 512,
)  # fmt: skip


def test_all_kinds_of_names_at_once(store: Store, tmp_path: Path) -> None:
    store.writer.write_tensor(ODD_NAMES[0], torch.tensor(-1))
    files = sorted(path.name for path in store.location.rglob("*"))
    for i, name in enumerate(ODD_NAMES):
        store.writer.write_tensor(name, torch.tensor(i))
    for i, name in enumerate(ODD_NAMES):
        assert store.reader.read_tensor(name).item() == i
        assert store.reader.read_tensor_metadata(name).dtype == "int64"
    assert list(store.reader.names()) == sorted(ODD_NAMES, key=str.encode)
    assert list(tmp_path.iterdir()) == [store.location]
    assert sorted(path.name for path in store.location.rglob("*")) == files


@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(name=st.text(min_size=1, max_size=20), other=st.text(min_size=1, max_size=20))
def test_any_text(store: Store, name: str, other: str) -> None:
    store.writer.write_tensor(other, torch.tensor(0))
    store.writer.write_tensor(name, torch.tensor(1))
    assert store.reader.read_tensor(name).item() == 1
    assert store.reader.read_tensor(other).item() == (name == other)
    assert name in list(store.reader.names())


WRONG_NAMES = {
    "empty": "",
    "too_long": "x" * 1025,
    "too_long_in_bytes": "é" * 513,
    "lone_surrogate": "a\ud800",
    "bytes": b"x",
    "path": Path("x"),
    "none": None,
}


@pytest.mark.parametrize("name", WRONG_NAMES.values(), ids=WRONG_NAMES)
def test_what_is_no_name(store: Store, name: str) -> None:
    for use in (
        lambda: store.writer.write_tensor(name, torch.ones(3)),
        lambda: store.reader.read_tensor(name),
        lambda: store.reader.read_tensor_metadata(name),
    ):
        with pytest.raises(InvalidNameError, match="name") as caught:
            use()
        assert isinstance(caught.value, ContentStoreError)
        assert isinstance(caught.value, ValueError)
    assert list(store.reader.names()) == []


def test_names_by_prefix(store: Store) -> None:
    for name in ("a", "a/b", "a/c", "ab", "b", "a/\U0001f600", "a%"):
        store.writer.write_tensor(name, torch.ones(1))
    assert list(store.reader.names("a/")) == ["a/b", "a/c", "a/\U0001f600"]
    assert list(store.reader.names("a%")) == ["a%"]
    assert list(store.reader.names("z")) == []
    assert len(list(store.reader.names())) == 7
    with pytest.raises(InvalidNameError):
        list(store.reader.names("\ud800"))


def test_storages_have_no_names(store: Store) -> None:
    store.writer.write_storage(torch.ones(3).untyped_storage())
    assert list(store.reader.names()) == []
    with pytest.raises(MissingTensorError):
        store.reader.read_tensor("storages")


def test_a_store_whose_own_path_is_odd(tmp_path: Path) -> None:
    for i, odd in enumerate(("sp ace", "uni\u00e9", "per%cent?#", "latin\udce9", "quote'\"")):
        location = tmp_path / odd
        with ContentStoreWriter(location) as writer:
            writer.write_tensor("x", torch.full((30_000,), i))
        opened = Store(location, writer, None)  # type: ignore[arg-type]
        with opened.fresh_reader() as reader:
            assert torch.equal(reader.read_tensor("x"), torch.full((30_000,), i))
