"""A batch that would change nothing commits nothing, and any difference commits all of it."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from torchstash.cache import Digest, DiskBackend, Put
from torchstash.cache.disk.catalogue import FILE_NAME
from torchstash.tests.cache.backend_contract import content
from torchstash.tests.cache.disk_stores import blob_path, overwrite

SMALL, MIDDLING, LARGE = content(10), content(10_000), content(100_000)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DiskBackend]:
    with DiskBackend(tmp_path / "store") as backend:
        yield backend


def puts() -> list[Put]:
    return [
        Put("small", SMALL, note=b"note"),
        Put("middling", MIDDLING),
        Put("large", LARGE),
        Put(None, content(11)),
        Put("root", b"root", links=[Digest.of(content(11))]),
    ]


def write(store: DiskBackend, some: Sequence[Put]) -> None:
    with store.batch() as batch:
        for put in some:
            batch.add(put)
        batch.drop_if_kept()


@contextmanager
def written_by_another(store: DiskBackend) -> Iterator[None]:
    """Whoever would write to the catalogue has to wait."""
    connection = sqlite3.connect(store.path / FILE_NAME, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
    finally:
        connection.close()


def test_needs_no_writing(store: DiskBackend) -> None:
    write(store, puts())
    with written_by_another(store):
        write(store, puts())
        write(store, puts()[1:2])
        write(store, [Put("large", None, Digest.of(LARGE))])
        # Of two puts of one key the last counts.
        write(store, [Put("middling", b"other"), *puts()])
    assert list((store.path / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    "changed",
    [
        Put("small", content(12), note=b"note"),
        Put("small", SMALL, note=b"other note"),
        Put("small", SMALL),
        Put("another", SMALL),
        Put("middling", content(10_001)),
        Put("large", content(100_001)),
        Put("small", LARGE, note=b"note"),
    ],
    ids=["contents", "note", "no note", "name", "middling", "large", "exchanged"],
)
def test_any_difference_is_written(store: DiskBackend, changed: Put) -> None:
    write(store, puts())
    write(store, [changed, *(put for put in puts() if put.key != changed.key)])
    assert changed.key is not None
    assert store.get(changed.key) == changed.data
    blob = store.locate(changed.key)
    assert blob is not None
    assert blob.note == changed.note


def test_all_of_it_is_written_where_a_part_differs(store: DiskBackend) -> None:
    write(store, puts())
    store.delete("middling")
    write(store, puts())
    assert store.get("middling") == MIDDLING


@pytest.mark.parametrize("data", [SMALL, MIDDLING, LARGE], ids=len)
def test_what_is_known_to_be_damaged_is_written_again(store: DiskBackend, data: bytes) -> None:
    # Linked contents too, which have no name of their own.
    some = [Put(None, data), Put("root", b"root", links=[Digest.of(data)])]
    write(store, some)
    write(store, [Put("named", data)])
    if data == LARGE:
        overwrite(blob_path(store, "named"), bytes(len(data)))
    store.mark_damaged(Digest.of(data))
    write(store, some)
    blob = store.locate_contents(Digest.of(data))
    assert blob is not None
    assert store.get("named") == data
    with written_by_another(store):
        write(store, some)


def test_what_is_cut_short_is_written_again(store: DiskBackend) -> None:
    write(store, puts())
    blob_path(store, "large").unlink()
    (store.path / "packed.bin").write_bytes(b"")
    write(store, puts())
    assert store.get("large") == LARGE
    assert store.get("middling") == MIDDLING


def test_a_durable_writer_wants_it_on_the_medium(store: DiskBackend) -> None:
    write(store, puts())
    with DiskBackend(store.path, durable=True) as durable:
        write(durable, puts())
        with written_by_another(store):
            write(durable, puts())
