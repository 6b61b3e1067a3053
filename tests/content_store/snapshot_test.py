"""State dicts: what was shared is shared again, and nothing else; whole or not at all."""

import random
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from torchstash.cache.disk import DiskBackend
from torchstash.content_store import (
    ContentStoreError,
    ContentStoreReader,
    ContentStoreWriter,
    CorruptMetadataError,
    CorruptStorageError,
    InvalidNameError,
    MissingSnapshotError,
    UnsupportedTensorError,
    UnsupportedValueError,
)
from torchstash.proto.content_store.v1.snapshot_manifest_pb2 import SnapshotManifest
from torchstash.tests.content_store.store_fixtures import Store, store

__all__ = ["store"]  # A fixture that pytest finds here.

# In the catalogue, in the packed file, in a file of its own.
SIZES = pytest.mark.parametrize("elements", [10, 1000, 30_000])


def stored_bytes(location: Path) -> int:
    with DiskBackend.open_read_only(location) as backend:
        return backend.stats().stored_bytes


def save_and_load(store: Store, state_dict: object) -> object:
    store.writer.save_state_dict("s", state_dict)
    return store.reader.load_state_dict("s")


def aliases(a: torch.Tensor, b: torch.Tensor) -> bool:
    return bool(a.untyped_storage()._cdata == b.untyped_storage()._cdata)


@SIZES
def test_sharing(store: Store, device: str, elements: int) -> None:
    x = torch.arange(float(elements), device=device)
    saved = {"x": x, "same": x, "view": x[1:], "flipped": x.view(2, -1).t(), "clone": x.clone()}
    store.writer.save_state_dict("s", saved)
    loaded = store.reader.load_state_dict("s")
    assert list(loaded) == list(saved)
    for name, tensor in saved.items():
        assert torch.equal(loaded[name], tensor)
        assert loaded[name].stride() == tensor.stride()
        assert loaded[name].device == tensor.device
    assert loaded["same"] is loaded["x"]
    assert aliases(loaded["view"], loaded["x"])
    assert aliases(loaded["flipped"], loaded["x"])
    assert not aliases(loaded["clone"], loaded["x"])
    loaded["x"][1] = -1
    assert loaded["view"][0] == -1
    assert torch.equal(loaded["clone"], x)
    # A store that keeps it once, and a second load that shares nothing with the first.
    assert torch.equal(store.reader.load_state_dict("s")["x"], x)
    manifest_bytes = stored_bytes(store.location) - x.nbytes
    assert 0 < manifest_bytes < 1000


def test_training_goes_on(store: Store, device: str) -> None:
    model = nn.Sequential(nn.Linear(300, 300), nn.BatchNorm1d(300)).to(device)
    optimizer = torch.optim.AdamW(model.parameters())

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        loss: torch.Tensor = model(torch.ones(2, 300, device=device)).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    step()
    saved = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": 1}
    store.writer.save_state_dict("s", saved)
    expected = [step() for _ in range(3)]
    loaded = store.fresh_reader().load_state_dict("s")
    assert type(loaded["model"]) is OrderedDict
    assert vars(loaded["model"]) == vars(saved["model"])
    model.load_state_dict(loaded["model"])
    optimizer.load_state_dict(loaded["optimizer"])
    assert [step() for _ in range(3)] == expected


CPU = torch.device("cpu")

leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.binary(max_size=9),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=9),
    st.sampled_from([torch.Size([2, 0]), torch.bfloat16, torch.device("cuda", 1), CPU]),
)  # fmt: skip
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(leaves, inner, max_size=4),
        st.dictionaries(leaves, inner, max_size=4).map(OrderedDict),
    ),
    max_leaves=20,
)


def types_of(value: object) -> object:
    if isinstance(value, dict):
        return type(value), [(type(k), types_of(v)) for k, v in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [types_of(item) for item in value]
    return type(value)


@pytest.fixture(scope="module")
def long_lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One store for all examples."""
    location = tmp_path_factory.mktemp("snapshots") / "store"
    with ContentStoreWriter(location) as writer, ContentStoreReader(location) as reader:
        yield Store(location, writer, reader)


@settings(max_examples=200, deadline=None)
@given(tree=trees)
def test_trees_come_back_exactly(long_lived: Store, tree: object) -> None:
    loaded = save_and_load(long_lived, tree)
    assert loaded == tree
    assert types_of(loaded) == types_of(tree)


class Weights(torch.Tensor):
    pass


def with_attribute() -> "OrderedDict[str, int]":
    odd = OrderedDict(a=1)
    odd.note = "mine"  # type: ignore[attr-defined]
    return odd


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"a": [1, {"b": {1}}]}, r"\['a'\]\[1\]\['b'\] is a builtins.set"),
        ({"a": defaultdict(int)}, r"\['a'\] is a collections.defaultdict"),
        (object(), "the state dict is a builtins.object"),
        ({(1, object()): 1}, r"the key of \[\(1, .*\)\]\[1\] is a builtins.object"),
        ({torch.ones(1): 1}, "tensor for a key"),
        ({"a": "\ud800"}, r"\['a'\] is a str with a lone surrogate"),
        ({"a": with_attribute()}, r"\['a'\] has an attribute 'note'"),
        ([torch.ones(1).numpy()], r"\[0\] is a numpy.ndarray"),
    ],
)  # fmt: skip
def test_what_cannot_be_held_is_refused_by_its_path(store: Store, value: object, said: str) -> None:
    with pytest.raises(UnsupportedValueError, match=said):
        store.writer.save_state_dict("s", value)
    assert list(store.reader.snapshots()) == []


def test_a_cycle_is_refused(store: Store) -> None:
    cycle: list[object] = []
    cycle.append(cycle)
    with pytest.raises(UnsupportedValueError, match="holds itself"):
        store.writer.save_state_dict("s", cycle)


def test_tensors_are_refused_by_their_path(store: Store) -> None:
    for tensor in (torch.ones(2, device="meta"), torch.ones(2).to_sparse()):
        with pytest.raises(UnsupportedTensorError, match=r"at \['a'\]\[0\]"):
            store.writer.save_state_dict("s", {"a": [tensor]})
    with pytest.raises(UnsupportedValueError, match="Weights"):
        store.writer.save_state_dict("s", {"a": torch.ones(2).as_subclass(Weights)})


@SIZES
def test_overwriting_and_deleting_leave_nothing_behind(store: Store, elements: int) -> None:
    rng = random.Random(elements)
    parts = [torch.full((elements,), i) for i in range(6)]
    live: dict[str, list[torch.Tensor]] = {}
    for turn in range(30):
        name = rng.choice("abc")
        if rng.random() < 0.3:
            assert store.writer.delete_snapshot(name) == (live.pop(name, None) is not None)
        elif rng.random() < 0.3:
            store.writer.write_tensors({name: parts[turn % 6]})
            store.writer.delete_tensor(name)
        else:
            live[name] = rng.sample(parts, rng.randint(0, 4))
            store.writer.save_state_dict(name, live[name])
        assert list(store.reader.snapshots()) == sorted(live)
        for name, expected in live.items():
            loaded = store.reader.load_state_dict(name)
            assert all(map(torch.equal, loaded, expected))
    for name in live:
        store.writer.delete_snapshot(name)
    assert stored_bytes(store.location) == 0
    assert not any(path.is_file() for path in (store.location / "blobs").rglob("*"))


def test_a_tensor_and_a_snapshot_may_have_one_name(store: Store) -> None:
    store.writer.write_tensor("x", torch.ones(3))
    store.writer.save_state_dict("x", [torch.zeros(3)])
    assert torch.equal(store.reader.read_tensor("x"), torch.ones(3))
    assert torch.equal(store.reader.load_state_dict("x")[0], torch.zeros(3))
    store.writer.delete_tensor("x")
    assert list(store.reader.snapshots("x")) == ["x"]
    assert list(store.reader.names()) == []


def test_a_storage_lives_while_anything_leads_to_it(store: Store) -> None:
    x = torch.arange(30_000)
    digest = store.writer.write_storage(x.untyped_storage())
    store.writer.write_tensor("x", x)
    store.writer.save_state_dict("s", {"x": x})
    assert store.writer.delete_storage(digest)
    assert store.writer.delete_snapshot("s")
    assert torch.equal(store.reader.read_tensor("x"), x)
    assert store.writer.delete_tensor("x")
    assert not store.writer.delete_tensor("x")
    assert stored_bytes(store.location) == 0


def test_names(store: Store) -> None:
    for name in ("../x", "a/b", "a", "\0", "x" * 1024):
        store.writer.save_state_dict(name, name)
        assert store.reader.load_state_dict(name) == name
    for bad in ("", "x" * 1025, "\ud800"):
        with pytest.raises(InvalidNameError, match="snapshot"):
            store.writer.save_state_dict(bad, 1)
    with pytest.raises(MissingSnapshotError, match="absent"):
        store.reader.load_state_dict("absent")


@pytest.mark.parametrize("mode", ["mapped", "copied", "auto"])
@pytest.mark.parametrize("verify", [True, False])
def test_modes(store: Store, mode: str, verify: bool) -> None:
    saved = {str(i): torch.full((30_000,), i) for i in range(20)}
    store.writer.save_state_dict("s", saved)
    reader = ContentStoreReader(store.location, verify=verify, mode=mode)
    for loaded in (reader.load_state_dict("s"), store.reader.load_state_dict("s", mode=mode)):
        assert all(torch.equal(loaded[name], tensor) for name, tensor in saved.items())
        loaded["3"].zero_()
    assert torch.equal(reader.load_state_dict("s")["3"], saved["3"])
    with pytest.raises(ValueError, match="teleported"):
        reader.load_state_dict("s", mode="teleported")


def test_damage_to_a_storage(store: Store) -> None:
    saved = [torch.arange(30_000), torch.zeros(30_000)]
    store.writer.save_state_dict("s", saved)
    path = next(path for path in (store.location / "blobs").rglob("*") if path.is_file())
    raw = bytearray(path.read_bytes())
    raw[7] ^= 1
    path.chmod(0o600)
    path.write_bytes(raw)
    with pytest.raises(CorruptStorageError, match="snapshot 's'"):
        store.fresh_reader().load_state_dict("s")
    store.writer.save_state_dict("s", saved)
    assert all(map(torch.equal, store.fresh_reader().load_state_dict("s"), saved))


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_manifests_that_somebody_changed(long_lived: Store, data: st.DataObject) -> None:
    """A typed error or a state dict, never a crash."""
    x = torch.arange(4.0)
    long_lived.writer.write_tensor("keeps the storage", x)
    long_lived.writer.save_state_dict("s", OrderedDict(a=x, b=[x[1:], {"c": (1, None)}]))
    with DiskBackend(long_lived.location) as backend:
        octets = bytearray(backend.get("snapshots/s") or b"")
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, len(octets) - 1))
            end = at + data.draw(st.integers(0, 1))
            octets[at:end] = data.draw(st.binary(max_size=2))
        backend.put("snapshots/s", bytes(octets))
    with suppress(ContentStoreError):
        long_lived.reader.load_state_dict("s")


def test_indices_that_lead_nowhere(store: Store) -> None:
    store.writer.save_state_dict("s", [torch.ones(3)])
    with DiskBackend(store.location) as backend:
        manifest = SnapshotManifest.FromString(backend.get("snapshots/s") or b"")
        manifest.root.list.values[0].tensor_index = 1
        backend.put("snapshots/s", manifest.SerializeToString())
        store.writer.write_tensor("keeps the storage", torch.ones(3))
    with pytest.raises(CorruptMetadataError, match="no tensor 1"):
        store.reader.load_state_dict("s")
