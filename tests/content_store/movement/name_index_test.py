"""The index of names: what it lists, what a race may lose of it, and what damage does to it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice
from pathlib import Path

import pytest
import torch
from typing_extensions import override

from torchstash.cache import BackendFullError
from torchstash.cache.capabilities import Containing, MayTear
from torchstash.content_store import (
    ContentStoreReader,
    ContentStoreWriter,
    CorruptMetadataError,
    PlaceUnavailableError,
    PlaceUnlistableError,
)
from torchstash.content_store.movement import TieredReader, clone, name_index, pull, push
from torchstash.content_store.movement.layout import INDEX_KEY, record_key, shard_key, spare_key
from torchstash.content_store.movement.name_index import NameIndex, shard_of
from torchstash.content_store.movement.name_set import decode_name_set, encode_name_set
from torchstash.content_store.movement.remote import Remote
from torchstash.tests.content_store.movement.backends import Asking, FailingAt, Plain
from torchstash.tests.content_store.movement.turns import Stepper, every_order, random_orders


class WebServer(Plain, MayTear):
    """A put that breaks off leaves a part; nothing is listed."""

    @override
    def _put(self, key: str, data: bytes) -> None:
        try:
            super()._put(key, data)
        except BackendFullError:
            self.values[key] = bytes(data[: len(data) // 2])
            raise


class Telling(Plain, Containing):
    """Says at once what it has."""

    @override
    def contains(self, key: str) -> bool:
        return key in self.values


def keys_of_one_shard() -> Iterator[str]:
    keys = (f"tensors/{number}" for number in count())
    return (key for key in keys if shard_of(key) == "05")


SEED = 20261125
OLD, A, B = islice(keys_of_one_shard(), 3)


def add(backend: Plain, *keys: str, verify: bool = False) -> None:
    with ThreadPoolExecutor(1) as executor:
        NameIndex(Remote(backend, "there")).add(keys, executor, verify=verify)


def listed(backend: Plain) -> set[str]:
    return set(NameIndex(Remote(backend, "there")).keys())


def write(location: Path, *names: str) -> None:
    with ContentStoreWriter(location) as writer:
        writer.write_tensors({name: torch.full((5,), i) for i, name in enumerate(names)})


@pytest.mark.parametrize("is_new", [False, True])
def test_two_pushers_at_once_lose_at_most_a_name_until_its_next_push(*, is_new: bool) -> None:
    """In every order of their steps; where they make the index, in many."""
    backends: list[Plain] = []

    def start() -> list[Stepper]:
        backends[:] = [Telling(), Telling()]
        backends[1].values = backends[0].values
        if not is_new:
            add(backends[0], OLD)

        def pusher(backend: Plain, key: str) -> Callable[[Callable[[str], None]], None]:
            def work(before: Callable[[str], None]) -> None:
                backend.before = before
                add(backend, key)

            return work

        return [
            Stepper(pusher(backend, key)) for backend, key in zip(backends, (A, B), strict=True)
        ]

    old = set() if is_new else {OLD}
    losses = orders = 0
    for order in random_orders(start, 400, SEED) if is_new else every_order(start):
        backends[0].before = lambda _: None
        found = listed(backends[0])
        orders += 1
        assert found >= old
        assert found in ({*old, A}, {*old, B}, {*old, A, B})
        if found != {*old, A, B}:
            losses += 1
            # Steps of one were all among those of the other: no order in turn loses anything.
            assert order not in ([0] * len(order), [1] * len(order))
        (lost,) = {A, B} - found or {A}
        add(backends[0], lost)
        assert listed(backends[0]) == {*old, A, B}
    assert orders > 50
    assert 0 < losses < orders / 2


def test_pushers_one_after_the_other_lose_nothing() -> None:
    backend = Plain()
    keys = [f"{kind}{n}" for kind in ("tensors/", "snapshots/") for n in range(300)]
    for some in (keys[:200], keys[100:500], keys[500:]):
        add(backend, *some)
    assert listed(backend) == set(keys)
    steps = backend.before = FailingAt(10**9)
    add(backend, keys[0])
    # The shard, and the root: what is in it is not put again.
    assert steps.steps == 2


def test_many_stores_push_to_one_place(tmp_path: Path) -> None:
    for i in range(4):
        write(tmp_path / f"a{i}", "shared", *(f"own {i}/{n}" for n in range(40)))
    backend = Plain()
    with ThreadPoolExecutor(4) as executor:
        list(executor.map(lambda i: push(tmp_path / f"a{i}", backend), range(4)))
    # Whatever that race has lost.
    for i in range(4):
        assert push(tmp_path / f"a{i}", backend).names_published == 0
    assert clone(backend, tmp_path / "b").names_published == 161


def test_a_name_without_a_record_is_none(tmp_path: Path) -> None:
    write(tmp_path / "a", "x", "y")
    backend = Plain()
    push(tmp_path / "a", backend)
    del backend.values[record_key("tensors/x")]
    with TieredReader(tmp_path / "near", backend) as reader:
        assert list(reader.names()) == ["y"]
    assert clone(backend, tmp_path / "b").names_published == 1
    assert list(ContentStoreReader(tmp_path / "b").names()) == ["y"]


def test_a_place_that_lists_gets_an_index_only_when_asked(tmp_path: Path) -> None:
    write(tmp_path / "a", "x")
    backend = Asking()
    push(tmp_path / "a", backend)
    assert INDEX_KEY not in backend.values
    push(tmp_path / "a", backend, index=True)
    write(tmp_path / "a", "z")
    push(tmp_path / "a", backend)
    assert listed(backend) == {"tensors/x", "tensors/z"}


def test_a_put_that_tears_at_any_step_loses_no_old_name() -> None:
    for step in count():
        backend = WebServer()
        add(backend, OLD, "snapshots/another shard")
        backend.before = FailingAt(step)
        try:
            add(backend, A, "tensors/elsewhere")
        except PlaceUnavailableError:
            backend.before = lambda _: None
        else:
            break
        assert listed(backend) >= {OLD, "snapshots/another shard"}
        add(backend, A, "tensors/elsewhere")
        assert listed(backend) == {OLD, "snapshots/another shard", A, "tensors/elsewhere"}
    assert step > 8


@pytest.mark.parametrize("key", [INDEX_KEY, shard_key(shard_of("tensors/x"))])
@pytest.mark.parametrize("damage", ["flipped", "short", "empty", "of another", "stranger"])
def test_damage_is_said_and_mended_by_the_next_push(key: str, damage: str, tmp_path: Path) -> None:
    write(tmp_path / "a", "x", *map(str, range(200)))
    backend = Plain()
    push(tmp_path / "a", backend)
    data = backend.values[key]
    backend.values[key] = {
        "flipped": data[:50] + bytes([data[50] ^ 1]) + data[51:],
        "short": data[:-1],
        "empty": b"",
        "of another": backend.values[shard_key("00")],
        "stranger": encode_name_set(key, ["tensors/stranger", "no number"]),
    }[damage]
    with pytest.raises(CorruptMetadataError, match=f"{key} is .*push again"):
        clone(backend, tmp_path / "b")
    pull(tmp_path / "b", backend, names=["x"])
    with (
        TieredReader(tmp_path / "near", backend) as reader,
        pytest.raises(CorruptMetadataError, match="meanwhile give the names"),
    ):
        list(reader.names())
    push(tmp_path / "a", backend)
    assert clone(backend, tmp_path / "c").names_published == 201


def test_what_is_gone_is_said_and_mended_with_verify(tmp_path: Path) -> None:
    write(tmp_path / "a", *map(str, range(200)))
    write(tmp_path / "other", "x")
    backend = Plain()
    push(tmp_path / "a", backend)
    del backend.values[shard_key("00")]
    with pytest.raises(CorruptMetadataError, match=r"names/00 is missing"):
        clone(backend, tmp_path / "b")
    # A store with nothing to add there leaves it, unless it is asked to look.
    push(tmp_path / "other", backend)
    with pytest.raises(CorruptMetadataError):
        listed(backend)
    push(tmp_path / "other", backend, verify=True)
    assert "tensors/x" in listed(backend)
    push(tmp_path / "a", backend)
    assert len(listed(backend)) == 201


@pytest.mark.parametrize("kind", [Plain, Asking])
def test_a_root_that_is_lost_is_made_of_the_shards_that_are_there(
    kind: type[Plain], tmp_path: Path
) -> None:
    write(tmp_path / "a", *map(str, range(200)))
    write(tmp_path / "other", "x")
    backend = kind()
    push(tmp_path / "a", backend, index=True)
    for root in (None, b"damage"):
        del backend.values[INDEX_KEY]
        if root is not None:
            backend.values[INDEX_KEY] = root
        push(tmp_path / "other", backend, index=True)
        assert len(listed(backend)) == 201


def test_a_spare_value_is_read_where_the_first_is_damaged() -> None:
    backend = WebServer()
    add(backend, OLD, A)
    assert decode_name_set(shard_key("05"), backend.values[spare_key(shard_key("05"))])
    backend.values[shard_key("05")] = b""
    assert listed(backend) == {OLD, A}
    add(backend, A)
    assert decode_name_set(shard_key("05"), backend.values[shard_key("05")]) == {OLD, A}


def test_a_newer_index_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path / "a", "x")
    for key in (INDEX_KEY, shard_key(shard_of("tensors/x"))):
        backend = Plain()
        push(tmp_path / "a", backend)
        newer = backend.values[key][:8] + b"\2" + backend.values[key][9:]
        backend.values[key] = newer
        for use in (lambda b: push(tmp_path / "a", b), lambda b: clone(b, tmp_path / "b")):
            with pytest.raises(PlaceUnavailableError, match="use a newer torchstash"):
                use(backend)
        assert backend.values[key] == newer


def test_a_full_index_is_said_and_all_was_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a", "x" * 1000)
    monkeypatch.setattr(name_index, "PART_BYTES", 900)
    backend = Plain()
    with pytest.raises(PlaceUnlistableError, match=r"is full: .* by its name"):
        push(tmp_path / "a", backend)
    assert pull(tmp_path / "b", backend, names=["x" * 1000]).names_published == 1


def test_others_that_never_let_it_in_are_not_waited_for_for_ever() -> None:
    backend = Plain()
    add(backend, OLD)
    alone = dict(backend.values)

    def overwrite(_: str) -> None:
        backend.values.update(alone)

    backend.before = overwrite
    with pytest.raises(PlaceUnavailableError, match="push again to have it listed"):
        add(backend, A)
