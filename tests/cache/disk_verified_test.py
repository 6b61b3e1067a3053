"""Packed values are hashed once while their file rests, and what is written to it is noticed."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from torchstash.cache import CorruptEntryError, DiskBackend
from torchstash.cache.digest import digest_bytes
from torchstash.cache.disk.verified_extents import VerifiedExtents
from torchstash.tests.cache.backend_contract import content

_SIZE_BYTES = 64 << 10


class _Hashing:
    """Counts what is hashed in the read path."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0

        def counted(data: bytes) -> bytes:
            self.count += 1
            return digest_bytes(data)

        monkeypatch.setattr("torchstash.cache.disk.backend.digest_bytes", counted)


@pytest.fixture
def hashing(monkeypatch: pytest.MonkeyPatch) -> _Hashing:
    return _Hashing(monkeypatch)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DiskBackend]:
    """A store whose clock is far ahead of its files, so that they have rested."""
    with DiskBackend(tmp_path / "store") as store:
        store._verified_extents = VerifiedExtents(unix_clock_ns=lambda: 1 << 62)
        yield store


def _age(store: DiskBackend) -> None:
    """Let the file's time be another than that of any write, however coarse its clock is."""
    os.utime(store.path / "packed.bin", ns=(1, 1))


def test_a_second_hit_is_not_hashed(store: DiskBackend, hashing: _Hashing) -> None:
    for i in range(3):
        store.put(f"{i}", content(_SIZE_BYTES, i))
    for _ in range(3):
        for i in range(3):
            assert store.get(f"{i}") == content(_SIZE_BYTES, i)
    assert hashing.count == 3


def test_a_put_lets_all_be_hashed_again(store: DiskBackend, hashing: _Hashing) -> None:
    store.put("key", content(_SIZE_BYTES))
    _age(store)
    store.get("key")
    with DiskBackend(store.path) as another:
        another.put("other", content(_SIZE_BYTES, 1))
    for _ in range(3):
        assert store.get("key") == content(_SIZE_BYTES)
    # The first, and the one that finds it out and takes note anew.
    assert hashing.count == 2


def test_a_file_that_was_just_written_proves_nothing(tmp_path: Path, hashing: _Hashing) -> None:
    with DiskBackend(tmp_path / "store") as store:
        store._verified_extents = VerifiedExtents(unix_clock_ns=lambda: 0)
        store.put("key", content(_SIZE_BYTES))
        for _ in range(3):
            assert store.get("key") == content(_SIZE_BYTES)
    assert hashing.count == 3


def test_damage_is_noticed(store: DiskBackend) -> None:
    store.put("key", content(_SIZE_BYTES))
    _age(store)
    assert store.get("key") == content(_SIZE_BYTES)
    assert store.get("key") == content(_SIZE_BYTES)
    with (store.path / "packed.bin").open("r+b") as file:
        file.seek(100)
        file.write(b"\0\0")
    with pytest.raises(CorruptEntryError, match="digest"):
        store.get("key")


def test_bytes_that_were_used_anew_are_not_taken_for_the_old_ones(store: DiskBackend) -> None:
    for i in range(200):
        value = content(_SIZE_BYTES, i % 7)
        store.put("key", value)
        assert store.get("key") == value
        assert store.get("key") == value
        if i % 3 == 0:
            store.delete("key")
            assert store.get("key") is None


def test_notes_hold_for_one_stamp_and_one_digest() -> None:
    now_ns = 10_000_000_000
    notes = VerifiedExtents(unix_clock_ns=lambda: now_ns)
    old, fresh = (1, 2, 3), (9_000_000_000, 1, 3)
    notes.note(old, 0, b"a")
    notes.note(fresh, 64, b"b")
    assert notes.known_at(0, b"a") == old
    assert notes.known_at(0, b"b") is None
    assert notes.known_at(64, b"b") is None
    notes.forget(fresh)
    assert notes.known_at(0, b"a") == old
    newer = (1, 4, 3)
    notes.note(newer, 64, b"b")
    assert notes.known_at(0, b"a") is None
    assert notes.known_at(64, b"b") == newer
    notes.forget(newer)
    assert notes.known_at(64, b"b") is None


def test_the_system_notes_writes_before_their_bytes_can_be_read(tmp_path: Path) -> None:
    # What all of this stands on: a write changes a time of the file that is not fresh.
    path = tmp_path / "file"
    path.write_bytes(bytes(100))
    os.utime(path, ns=(1, 1))
    before = path.stat().st_mtime_ns
    with path.open("r+b") as file:
        file.write(b"x")
        file.flush()
        assert path.stat().st_mtime_ns != before
