"""Snapshots saved against others: the same bits, in fewer bytes, whatever else goes."""

import random
from collections import OrderedDict

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from torchstash.content_store import (
    ContentStoreWriter,
    InvalidNameError,
    MissingSnapshotError,
)
from torchstash.tests.content_store.delta_cases import depths, noise, scattered, stored_bytes
from torchstash.tests.content_store.storages import bytes_of
from torchstash.tests.content_store.store_fixtures import Store, store
from torchstash.tests.content_store.tensor_equality import assert_same

__all__ = ["store"]  # A fixture that pytest finds here.

# Packed, packed, a file of one slice, one of some, one whose slices several threads encode.
SIZES = (16 << 10, 60_000, 300_001, 3 << 20, (5 << 20) + 7)
EACH_SIZE = pytest.mark.parametrize("size_bytes", SIZES)


def assert_loads(store: Store, name: str, saved: dict[str, torch.Tensor]) -> None:
    loaded = store.fresh_reader().load_state_dict(name)
    assert list(loaded) == list(saved)
    for key, tensor in saved.items():
        assert_same(loaded[key], tensor)


@EACH_SIZE
def test_a_small_change_costs_few_bytes(store: Store, device: str, size_bytes: int) -> None:
    before = {"w": noise(size_bytes).to(device), "fixed": noise(size_bytes, 1).to(device)}
    after = {**before, "w": scattered(before["w"])}
    store.writer.save_state_dict("a", before)
    full_bytes = stored_bytes(store.location)
    store.writer.save_state_dict("b", after, base="a")
    assert depths(store.location, "b") == [1, 0]
    assert stored_bytes(store.location) - full_bytes < 0.1 * size_bytes + 400
    assert_loads(store, "a", before)
    assert_loads(store, "b", after)


def test_one_percent_of_bfloat16_weights(store: Store) -> None:
    """The bytes that are promised."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(2 << 20, generator=generator).bfloat16()
    others = torch.randn(2 << 20, generator=generator).bfloat16()
    changed = torch.rand(2 << 20, generator=generator) < 0.01
    store.writer.save_state_dict("a", [weights])
    full_bytes = stored_bytes(store.location)
    store.writer.save_state_dict("b", [torch.where(changed, others, weights)], base="a")
    assert stored_bytes(store.location) - full_bytes < 0.03 * weights.nbytes


@pytest.mark.parametrize("mode", ["mapped", "copied", "auto"])
@pytest.mark.parametrize("verify", [True, False])
def test_modes_of_reading(store: Store, mode: str, verify: bool) -> None:
    before = {str(size): noise(size) for size in SIZES}
    after = {name: scattered(tensor) for name, tensor in before.items()}
    # Little differs: a mapping is changed in place.
    after[str(SIZES[-1])] = before[str(SIZES[-1])].clone()
    after[str(SIZES[-1])][-1] ^= 1
    store.writer.save_state_dict("a", before)
    store.writer.save_state_dict("b", after, base="a")
    assert set(depths(store.location, "b")) == {1}
    reader = store.fresh_reader(verify=verify)
    for name in ("b", "a", "b"):
        loaded = reader.load_state_dict(name, mode=mode)
        for key, tensor in (after if name == "b" else before).items():
            assert torch.equal(loaded[key], tensor)
            # What was loaded is the caller's.
            loaded[key].zero_()


def test_deleting_the_base_takes_nothing_away(store: Store) -> None:
    versions = [{"w": noise(300_000)}]
    for i in range(4):
        versions.append({"w": scattered(versions[-1]["w"], i)})
    store.writer.save_state_dict("0", versions[0])
    for i in range(1, 5):
        store.writer.save_state_dict(str(i), versions[i], base=str(i - 1))
    assert depths(store.location, "4") == [4]
    order = list(range(5))
    random.Random(0).shuffle(order)
    while order:
        for i in order:
            assert_loads(store, str(i), versions[i])
        assert store.writer.delete_snapshot(str(order.pop()))
    assert stored_bytes(store.location) == 0
    assert not any(path.is_file() for path in (store.location / "blobs").rglob("*"))


def test_overwriting_the_base_itself(store: Store) -> None:
    """A checkpoint under one name: the chain stays short, and its bytes few."""
    current = {"w": noise(300_000)}
    store.writer.save_state_dict("s", current)
    seen = []
    for i in range(30):
        current = {"w": scattered(current["w"], i)}
        store.writer.save_state_dict("s", current, base="s")
        assert_loads(store, "s", current)
        seen += depths(store.location, "s")
    assert seen[:10] == [1, 2, 3, 4, 5, 6, 7, 8, 1, 2]
    assert max(seen) == 8
    assert stored_bytes(store.location) < 2 * 300_000
    # From anew once a delta of the root would be too large: all of it goes with the name.
    assert store.writer.delete_snapshot("s")
    assert stored_bytes(store.location) == 0


@EACH_SIZE
def test_the_full_content_is_used_where_the_store_has_it(store: Store, size_bytes: int) -> None:
    before, after = noise(size_bytes), scattered(noise(size_bytes))
    store.writer.save_state_dict("a", [before])
    store.writer.write_tensor("x", after)
    full_bytes = stored_bytes(store.location)
    store.writer.save_state_dict("b", [after], base="a")
    assert depths(store.location, "b") == [0]
    assert stored_bytes(store.location) - full_bytes < 300
    store.writer.delete_tensor("x")
    store.writer.delete_snapshot("a")
    assert torch.equal(store.reader.load_state_dict("b")[0], after)


def test_full_content_that_comes_later_is_read(store: Store) -> None:
    before, after = noise(300_000), scattered(noise(300_000))
    store.writer.save_state_dict("a", [before])
    store.writer.save_state_dict("b", [after], base="a")
    store.writer.save_state_dict("c", [after])
    assert depths(store.location, "c") == [0]
    for name in ("b", "c"):
        assert torch.equal(store.fresh_reader().load_state_dict(name)[0], after)
    store.writer.delete_snapshot("c")
    assert torch.equal(store.fresh_reader().load_state_dict("b")[0], after)


def test_what_did_not_change_is_not_written_again(store: Store) -> None:
    before = {str(size): noise(size) for size in SIZES}
    after = {name: scattered(tensor) for name, tensor in before.items()}
    store.writer.save_state_dict("a", before)
    store.writer.save_state_dict("b", after, base="a")
    full_bytes = stored_bytes(store.location)
    for base in ("b", "a"):
        store.writer.save_state_dict("c", after, base=base)
        # One manifest of the same bytes.
        assert stored_bytes(store.location) == full_bytes
    assert set(depths(store.location, "c")) == {1}
    # Renamed, its contents are found.
    renamed = {f"module.{name}": tensor for name, tensor in after.items()}
    store.writer.save_state_dict("d", renamed | {"more": torch.ones(1)}, base="b")
    assert_loads(store, "d", renamed | {"more": torch.ones(1)})


def test_what_differs_too_much_is_kept_in_full(store: Store) -> None:
    before = {str(size): noise(size) for size in SIZES}
    for i, fraction in enumerate((0.5, 1.0)):
        after = {
            name: torch.where(torch.rand(len(t)) < fraction, noise(len(t), 7 + i), t)
            for name, t in before.items()
        }
        store.writer.save_state_dict("a", before)
        store.writer.save_state_dict("b", after, base="a")
        assert depths(store.location, "b") == [0] * len(SIZES)
        assert_loads(store, "b", after)


def test_other_shapes_and_other_trees(store: Store) -> None:
    before = {"w": noise(300_000), "gone": noise(19_000, 1), "small": noise(100)}
    store.writer.save_state_dict("a", before)
    view = scattered(before["w"]).view(3, 100_000).t()
    after = {
        "w": view,
        "same": view,
        "part": view[5:],
        "clone": view.clone().t().contiguous().t(),
        "gone": noise(19_001, 1),
        "new": noise(18_000, 2),
        "small": noise(100, 3),
        "empty": torch.empty(0),
    }
    store.writer.save_state_dict("b", after, base="a")
    assert_loads(store, "b", after)
    loaded = store.reader.load_state_dict("b")
    assert loaded["same"] is loaded["w"]
    assert loaded["part"].untyped_storage()._cdata == loaded["w"].untyped_storage()._cdata
    assert loaded["clone"].untyped_storage()._cdata != loaded["w"].untyped_storage()._cdata
    tree = OrderedDict(x=[{"y": scattered(before["w"], 9)}])
    others: tuple[dict[str, object] | list[object], ...] = ({}, [1, None], {**tree})
    for other in others:
        store.writer.save_state_dict("c", other, base="a")
        assert len(store.reader.load_state_dict("c")) == len(other)


def test_position_counts_where_paths_differ(store: Store) -> None:
    before = [noise(19_000), noise(19_000, 1)]
    store.writer.save_state_dict("a", before)
    store.writer.save_state_dict("b", {"x": scattered(before[0]), "y": before[1] + 0}, base="a")
    assert depths(store.location, "b") == [1, 0]


def test_bases_that_are_none(store: Store) -> None:
    with pytest.raises(MissingSnapshotError, match="'absent'"):
        store.writer.save_state_dict("s", [noise(5000)], base="absent")
    with pytest.raises(InvalidNameError):
        store.writer.save_state_dict("s", [noise(5000)], base="")
    assert list(store.reader.snapshots()) == []
    assert stored_bytes(store.location) == 0


@pytest.mark.parametrize(
    "dtype",
    [
        *(torch.bfloat16, torch.float16, torch.float32, torch.float64, torch.float8_e4m3fn),
        *(torch.complex64, torch.int8, torch.int64, torch.bool),
    ],
    ids=str,
)
def test_dtypes(store: Store, dtype: torch.dtype) -> None:
    octets = noise(48_000)
    before = {"w": octets.view(dtype)}
    after = {"w": scattered(octets).view(dtype)}
    store.writer.save_state_dict("a", before)
    store.writer.save_state_dict("b", after, base="a")
    assert depths(store.location, "b") == [1]
    loaded = store.reader.load_state_dict("b")["w"]
    assert loaded.dtype == dtype
    assert bytes_of(loaded.untyped_storage()) == bytes_of(after["w"].untyped_storage())


patterns = st.sampled_from(["none", "one", "scattered", "block", "tail", "half", "all"])


def patterned(tensor: torch.Tensor, pattern: str, seed: int) -> torch.Tensor:
    size = len(tensor)
    after = tensor.clone()
    match pattern:
        case "one":
            after[seed % size] ^= 1 + seed % 255
        case "scattered":
            after = scattered(tensor, seed)
        case "block":
            after[seed % size : seed % size + size // 10 + 1].fill_(seed % 256)
        case "tail":
            after[-1:] ^= 255
        case "half":
            after[: size // 2] = noise(size // 2, seed)
        case "all":
            after = noise(size, seed)
    return after


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    sizes=st.lists(
        st.one_of(st.integers(1, 70_000), st.integers(1 << 20, 3 << 20)), min_size=1, max_size=4
    ),
    steps=st.lists(st.tuples(patterns, st.integers(0, 1 << 30)), min_size=1, max_size=5),
    window=st.integers(0, 1),
)
def test_any_chain_of_changes(
    store: Store, sizes: list[int], steps: list[tuple[str, int]], window: int
) -> None:
    """Whatever changes, the newest snapshot and the one before are what was saved."""
    current = {str(i): noise(size, i) for i, size in enumerate(sizes)}
    store.writer.save_state_dict("0", current)
    for i, (pattern, seed) in enumerate(steps, 1):
        before = current
        current = {
            name: patterned(tensor, pattern, seed + n)
            for n, (name, tensor) in enumerate(before.items())
        }
        store.writer.save_state_dict(str(i), current, base=str(i - 1))
        assert_loads(store, str(i), current)
        assert_loads(store, str(i - 1), before)
        if window:
            store.writer.delete_snapshot(str(i - 1))
            assert_loads(store, str(i), current)
            store.writer.save_state_dict(str(i - 1), before)
    for i in range(len(steps) + 1):
        store.writer.delete_snapshot(str(i))
    assert stored_bytes(store.location) == 0


def test_a_writer_of_another_process_is_a_base(store: Store) -> None:
    before = {"w": noise(300_000)}
    with ContentStoreWriter(store.location) as other:
        other.save_state_dict("a", before)
    after = {"w": scattered(before["w"])}
    store.writer.save_state_dict("b", after, base="a")
    assert_loads(store, "b", after)
