"""Entries with all that they lead to, what of it is missing, and files that a store takes over."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from torchstash.cache import DigestConflictError, DiskBackend, MissingLinkError
from torchstash.cache.digest import Digest
from torchstash.cache.disk import GivenFile, LinkedContents, Put

LARGE = bytes(range(256)) * 512
LEAF, MIDDLE, ROOT = b"leaf", b"middle" * 1000, b"root"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DiskBackend]:
    with DiskBackend(tmp_path / "store") as store:
        yield store


def put_tree(store: DiskBackend) -> None:
    """A root that links two contents, of which one links the other."""
    leaf, middle = Digest.of(LEAF), Digest.of(MIDDLE)
    with store.batch() as batch:
        batch.add(Put(None, LEAF))
        batch.add(Put(None, MIDDLE, links=[leaf]))
        batch.add(Put("root", ROOT, note=b"note", links=[leaf, middle]))


def test_an_entry_with_all_that_it_leads_to(store: DiskBackend) -> None:
    put_tree(store)
    store.put("alone", LARGE)
    absent, root, alone = store.linked(["absent", "root", "alone"])
    assert absent is None
    assert root is not None
    assert root.note == b"note"
    digests = [each.digest for each in root.contents]
    assert digests == [Digest.of(ROOT), Digest.of(MIDDLE), Digest.of(LEAF)]
    assert set(root.contents[0].links) == set(digests[1:])
    assert root.contents[1].links == (digests[2],)
    assert [each.size_bytes for each in root.contents] == [len(ROOT), len(MIDDLE), len(LEAF)]
    assert alone is not None
    assert alone.note is None
    assert alone.contents == (LinkedContents(Digest.of(LARGE), len(LARGE), ()),)


def test_what_a_store_lacks(store: DiskBackend, tmp_path: Path) -> None:
    put_tree(store)
    store.put("large", LARGE)
    there = [LinkedContents(Digest.of(data), len(data), ()) for data in (LEAF, MIDDLE, LARGE)]
    absent = LinkedContents(Digest.of(b"absent"), 6, ())
    assert store.lacks([*there, absent]) == {absent.digest}
    store.mark_damaged(there[0].digest)
    file = next((tmp_path / "store" / "blobs").rglob(there[2].digest.hex))
    file.chmod(0o600)
    os.truncate(file, 10)
    assert store.lacks(there) == {there[0].digest, there[2].digest}
    with pytest.raises(DigestConflictError, match="hash them again"):
        store.lacks([LinkedContents(there[1].digest, 3, ())])


def given(store: DiskBackend, data: bytes) -> GivenFile:
    path = Path(store.partial_path(Digest.of(data)))
    path.write_bytes(data)
    return GivenFile(str(path), len(data))


def test_a_file_is_taken_over(store: DiskBackend) -> None:
    file = given(store, LARGE)
    inode = Path(file.path).stat().st_ino
    store.commit([Put("key", file, Digest.of(LARGE))])
    assert store.get("key") == LARGE
    blob = store.locate("key")
    assert blob is not None
    assert blob.path is not None
    assert blob.path.stat().st_ino == inode
    assert not Path(file.path).exists()
    # The contents are there already.
    file = given(store, LARGE)
    store.commit([Put("other", file, Digest.of(LARGE))])
    assert store.get("other") == LARGE
    assert not Path(file.path).exists()


def test_a_file_of_a_commit_that_fails_is_gone(store: DiskBackend) -> None:
    file = given(store, LARGE)
    with pytest.raises(MissingLinkError):
        store.commit([Put("key", file, Digest.of(LARGE), links=[Digest.of(b"absent")])])
    assert store.get("key") is None
    assert not Path(file.path).exists()
    with pytest.raises(TypeError, match="needs a digest"):
        store.commit([Put("key", given(store, LARGE))])


def test_a_sweep_removes_what_nobody_gathers_any_more(store: DiskBackend) -> None:
    file = given(store, LARGE)
    assert store.sweep(grace_seconds=3600).temporary_files == 0
    assert Path(file.path).exists()
    assert store.sweep(grace_seconds=-1).temporary_files == 1
    assert not Path(file.path).exists()
