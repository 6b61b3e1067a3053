"""Many small contents: moved many at once where an engine takes them so, and checked as ever."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
import torch
from typing_extensions import override

from torchstash.cache import CorruptEntryError
from torchstash.cache.capabilities import ManyAtOnce, MayTear
from torchstash.content_store import (
    ContentStoreReader,
    ContentStoreWriter,
    CorruptStorageError,
    PlaceUnavailableError,
)
from torchstash.content_store.movement import TieredReader, pull, push
from torchstash.tests.content_store.movement.backends import Asking, FailingAt

COUNT = 600


class Many(Asking, ManyAtOnce):
    """Takes and gives many at once; tells what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: Counter[str] = Counter()
        self.before = self.note

    def note(self, operation: str) -> None:
        self.requests[operation] += 1

    @override
    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        self.before("get_many")
        return {key: self.values[key] for key in keys if key in self.values}

    @override
    def put_many(self, values: Mapping[str, bytes]) -> None:
        self.before("put_many")
        self.values.update(values)


class TearingMany(Many, MayTear):
    """Of a put that broke off a part may be there."""


class Checking(Many):
    """Finds out itself that a value is damaged, and gives nothing of a request with one."""

    def __init__(self) -> None:
        super().__init__()
        self.damaged: set[str] = set()

    @override
    def _get(self, key: str) -> bytes | None:
        if key in self.damaged:
            raise CorruptEntryError(key, "another digest")
        return super()._get(key)

    @override
    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        found = {key: self.get(key) for key in keys}
        return {key: value for key, value in found.items() if value is not None}

    @override
    def put_many(self, values: Mapping[str, bytes]) -> None:
        super().put_many(values)
        self.damaged -= set(values)

    @override
    def _put(self, key: str, data: bytes) -> None:
        super()._put(key, data)
        self.damaged.discard(key)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "a"
    with ContentStoreWriter(folder) as writer:
        writer.write_tensors({f"t{i}": torch.full((1024,), i / 7) for i in range(COUNT)})
    return folder


@pytest.mark.parametrize("kind", [Many, TearingMany])
def test_requests_are_few(kind: type[Many], store: Path, tmp_path: Path) -> None:
    backend = kind()
    assert push(store, backend).contents_moved == COUNT
    # 512 names at a time, 128 values at once.
    assert backend.requests["put_many"] <= 12
    assert backend.requests["get_many"] <= 8
    assert backend.requests["contains"] + backend.requests["put"] == 0
    backend.requests.clear()
    assert push(store, backend).names_unchanged == COUNT
    assert backend.requests.total() <= 9
    backend.requests.clear()
    assert push(store, backend, verify=True).moved_bytes == 0
    assert backend.requests.total() <= 9
    backend.requests.clear()
    names = [f"t{i}" for i in range(COUNT)]
    assert pull(tmp_path / "b", backend, names=names).names_published == COUNT
    # Each record once, and contents.
    assert backend.requests.total() <= 9
    with ContentStoreReader(tmp_path / "b") as reader:
        assert all(reader.read_tensor(f"t{i}")[5] == torch.tensor(i / 7) for i in range(COUNT))


def test_equal_contents_of_other_names_are_not_put_again(store: Path, tmp_path: Path) -> None:
    for backend in (Many(), TearingMany()):
        push(store, backend)
        with ContentStoreWriter(tmp_path / "other") as writer:
            writer.write_tensors({f"o{i}": torch.full((1024,), i / 7) for i in range(COUNT)})
        assert push(tmp_path / "other", backend).moved_bytes == 0


def test_a_push_of_many_at_once_that_fails_anywhere_goes_on(store: Path) -> None:
    whole = Many()
    push(store, whole, threads=1)
    for step in range(whole.requests.total()):
        backend = Many()
        backend.before = FailingAt(step)
        with pytest.raises(PlaceUnavailableError, match="call again to go on"):
            push(store, backend, threads=1)
        there = {key for key in backend.values if "/contents/" in key}
        backend.before = backend.note
        assert push(store, backend, threads=1).contents_moved == COUNT - len(there)
        assert backend.values == whole.values


@pytest.mark.parametrize("kind", [Many, TearingMany])
def test_half_a_value_is_seen(kind: type[Many], store: Path, tmp_path: Path) -> None:
    """Where puts may tear, if no record leads there; by a push that looks everywhere."""
    backend = kind()
    push(store, backend)
    torn = sorted(key for key in backend.values if "/contents/" in key)[::100]
    for key in torn:
        backend.values[key] = backend.values[key][:-1]
    with pytest.raises(CorruptStorageError, match="another digest"):
        pull(tmp_path / "b", backend)
    assert push(store, backend, verify=True).contents_moved == len(torn)
    assert pull(tmp_path / "b", backend).names_published == COUNT


def test_what_an_engine_finds_damaged_is_put_again(store: Path, tmp_path: Path) -> None:
    backend = Checking()
    push(store, backend)
    with ContentStoreWriter(store) as writer:
        digest = writer.compute_tensor_metadata(torch.full((1024,), 5 / 7)).storage_digest
    backend.damaged = {key for key in backend.values if digest.hex() in key}
    assert len(backend.damaged) == 1
    with pytest.raises(CorruptStorageError, match="push it again with verify=True"):
        pull(tmp_path / "b", backend)
    report = push(store, backend, verify=True)
    assert (report.contents_moved, report.moved_bytes) == (1, 4096)
    assert pull(tmp_path / "b", backend).names_published == COUNT


def test_a_tiered_read_asks_for_a_record_once(store: Path, tmp_path: Path) -> None:
    backend = Many()
    push(store, backend)
    backend.requests.clear()
    with TieredReader(tmp_path / "near", backend) as reader:
        reader.read_tensor("t5")
    assert backend.requests == {"get_many": 2}


def test_contents_found_by_digest_are_asked_for_twice_at_most(store: Path, tmp_path: Path) -> None:
    backend = Many()
    push(store, backend)
    with ContentStoreReader(store) as reader:
        digest = reader.read_tensor_metadata("t5").storage_digest.hex()
    gets: list[str] = []
    backend.before = gets.append
    with TieredReader(tmp_path / "near", backend) as reader:
        reader.read_storage(digest)
    # For its size, and to keep it; between them, what is recorded of it: nothing, twice.
    assert len(gets) == 4
