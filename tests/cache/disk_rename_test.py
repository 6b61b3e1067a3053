"""Renaming an entry is one step: there is never no name, and never two."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from torchstash.cache import BackendReadOnlyError, DiskBackend, EntryExistsError, Put
from torchstash.tests.cache.backend_contract import content
from torchstash.tests.cache.disk_stores import blob_files


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DiskBackend]:
    with DiskBackend(tmp_path / "store") as backend:
        backend.commit([Put("a", content(100_000, 1), note=b"note"), Put("b", content(100_000, 2))])
        yield backend


def test_contents_and_note_move(store: DiskBackend) -> None:
    assert store.rename("a", "c")
    assert list(store.keys()) == ["b", "c"]
    assert store.get("c") == content(100_000, 1)
    blob = store.locate("c")
    assert blob is not None
    assert blob.note == b"note"


def test_what_is_there_stays_unless_it_may_go(store: DiskBackend) -> None:
    with pytest.raises(EntryExistsError, match=r"'a'.*'b'"):
        store.rename("a", "b")
    assert store.get("b") == content(100_000, 2)
    assert store.rename("a", "b", replace=True)
    assert list(store.keys()) == ["b"]
    assert store.get("b") == content(100_000, 1)
    assert len(blob_files(store)) == 1
    assert store.stats().stored_bytes == 100_000


def test_to_itself_and_from_nothing(store: DiskBackend) -> None:
    assert store.rename("a", "a")
    assert not store.rename("absent", "b")
    assert not store.rename("absent", "absent")
    assert list(store.keys()) == ["a", "b"]


def test_names_of_one_content(store: DiskBackend) -> None:
    store.put("c", content(100_000, 1))
    assert store.rename("a", "c", replace=True)
    assert list(store.keys()) == ["b", "c"]
    assert store.get("c") == content(100_000, 1)


def test_a_store_that_is_read_only(store: DiskBackend) -> None:
    with DiskBackend.open_read_only(store.path) as reader, pytest.raises(BackendReadOnlyError):
        reader.rename("a", "c")
