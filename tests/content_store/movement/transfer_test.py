"""What moves, between a store and a backend of each kind, and between stores."""

from pathlib import Path

import pytest
import torch

from torchstash.cache import MemoryBackend, RemoteCacheBackend
from torchstash.cache.disk import DiskBackend
from torchstash.cache.wrappers import Forgiving, NegativeCaching
from torchstash.content_store import (
    ContentStoreReader,
    ContentStoreWriter,
    ExistsError,
    InvalidNameError,
    MissingStoreError,
    NotInStoreError,
    PlaceUnavailableError,
    PlaceUnlistableError,
)
from torchstash.content_store.movement import Progress, clone, pull, push
from torchstash.tests.content_store.movement.backends import BACKENDS, Asking, Plain
from torchstash.tests.content_store.movement.movable_store import assert_moved, fill, large


@pytest.mark.parametrize("kind", BACKENDS)
def test_a_store_goes_there_and_comes_back(kind: str, tmp_path: Path) -> None:
    tensors = fill(tmp_path / "a")
    backend = BACKENDS[kind]()
    pushed = push(tmp_path / "a", backend)
    assert (pushed.names_published, pushed.names_unchanged) == (8, 0)
    again = push(tmp_path / "a", backend)
    assert (again.names_published, again.names_unchanged, again.moved_bytes) == (0, 8, 0)
    pulled = clone(backend, tmp_path / "b")
    assert pulled.moved_bytes == pushed.moved_bytes
    assert_moved(tmp_path / "b", tensors)
    assert pull(tmp_path / "b", backend).moved_bytes == 0
    with DiskBackend(tmp_path / "b") as store:
        assert not list(store.keys("pulls/"))


def test_stores_in_folders_move_as_they_are(tmp_path: Path) -> None:
    tensors = fill(tmp_path / "a")
    moved = push(tmp_path / "a", tmp_path / "b")
    assert moved.names_published == 8
    assert_moved(tmp_path / "b", tensors)
    clone(f"file://{tmp_path}/b", tmp_path / "c")
    assert_moved(tmp_path / "c", tensors)
    assert push(tmp_path / "c", f"file://{tmp_path}/a").moved_bytes == 0
    with DiskBackend(tmp_path / "a") as first, DiskBackend(tmp_path / "c") as last:
        assert first.stats() == last.stats()


def test_only_what_is_missing_moves(tmp_path: Path) -> None:
    fill(tmp_path / "a")
    backend = Asking()
    push(tmp_path / "a", backend)
    with ContentStoreWriter(tmp_path / "a") as writer:
        writer.write_tensor("more", large()[7:])
        writer.write_tensor("new", torch.arange(10, dtype=torch.int8))
    moved = push(tmp_path / "a", backend)
    assert (moved.names_published, moved.contents_moved, moved.moved_bytes) == (2, 1, 10)
    # Another store with some of the same contents.
    with ContentStoreWriter(tmp_path / "b") as writer:
        writer.write_tensor("mine", large())
    assert push(tmp_path / "b", backend).moved_bytes == 0
    assert pull(tmp_path / "b", backend, names=["large"]).moved_bytes == 0


@pytest.mark.parametrize("kind", BACKENDS)
def test_names_and_prefixes_select(kind: str, tmp_path: Path) -> None:
    fill(tmp_path / "a", with_large=False)
    backend = BACKENDS[kind]()
    push(tmp_path / "a", backend, names=["weight"], prefixes=["st", "m"])
    assert pull(tmp_path / "b", backend).names_published == 3
    with ContentStoreReader(tmp_path / "b") as reader:
        assert list(reader.names()) == ["middle", "weight"]
        assert list(reader.snapshots()) == ["step 1"]
    pull(tmp_path / "c", backend, prefixes=["mid"])
    with ContentStoreReader(tmp_path / "c") as reader:
        assert list(reader.names()) == ["middle"]
        assert not list(reader.snapshots())


def test_a_name_is_replaced(tmp_path: Path) -> None:
    backend = Plain()
    for value in (1, 2):
        with ContentStoreWriter(tmp_path / "a") as writer:
            writer.write_tensor("x", torch.tensor(value))
        push(tmp_path / "a", backend)
        pull(tmp_path / "b", backend, names=["x"])
        with ContentStoreReader(tmp_path / "b") as reader:
            assert reader.read_tensor("x") == value


def test_what_cannot_be_is_said(tmp_path: Path) -> None:
    fill(tmp_path / "a", with_large=False)
    with pytest.raises(MissingStoreError, match="absent"):
        push(tmp_path / "absent", Plain())
    with pytest.raises(MissingStoreError, match="absent"):
        pull(tmp_path / "b", tmp_path / "absent")
    with pytest.raises(NotInStoreError, match="'nobody' in the content store"):
        push(tmp_path / "a", Plain(), names=["nobody"])
    with pytest.raises(NotInStoreError, match="'nobody' in Plain"):
        pull(tmp_path / "b", Plain(), names=["nobody"])
    with pytest.raises(InvalidNameError):
        pull(tmp_path / "b", Plain(), names=[""])
    with pytest.raises(PlaceUnlistableError, match="give the names"):
        pull(tmp_path / "b", Plain())
    with pytest.raises(ExistsError, match="pull into it"):
        clone(Plain(), tmp_path / "a")
    for place in ("nonsense://host", "memory:|memory:", "file:///x?max_bytes=1GiB"):
        with pytest.raises(PlaceUnavailableError):
            push(tmp_path / "a", place)
    with pytest.raises(PlaceUnavailableError, match="signing_keys_file"):
        push(tmp_path / "a", "http://127.0.0.1:1/x?signing_keys_file=x")


def test_a_backend_that_hides_its_faults_is_refused(tmp_path: Path) -> None:
    fill(tmp_path / "a", with_large=False)
    hiding: RemoteCacheBackend[bytes] = NegativeCaching(Forgiving(MemoryBackend()), life_seconds=1)
    with pytest.raises(PlaceUnavailableError, match="Forgiving"):
        push(tmp_path / "a", hiding)


def test_progress_is_told(tmp_path: Path) -> None:
    fill(tmp_path / "a")
    told: list[Progress] = []
    report = push(tmp_path / "a", Plain(), progress=told.append)
    assert told[-1] == Progress(8, 8, report.moved_bytes, report.moved_bytes)
    assert [each.moved_bytes for each in told] == sorted(each.moved_bytes for each in told)
    told.clear()
    pull(tmp_path / "b", tmp_path / "a", progress=told.append)
    assert told[-1] == Progress(8, 8, report.moved_bytes, report.moved_bytes)
