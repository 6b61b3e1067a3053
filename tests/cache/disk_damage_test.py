import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from torchstash.cache import (
    BackendCorruptError,
    CorruptEntryError,
    Digest,
    DiskBackend,
)
from torchstash.cache.disk import schema
from torchstash.tests.cache.backend_contract import content
from torchstash.tests.cache.disk_stores import blob_path, overwrite


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DiskBackend]:
    with DiskBackend(tmp_path / "store") as backend:
        yield backend


class TestDamage:
    def test_a_flipped_bit_is_never_returned(self, store: DiskBackend) -> None:
        data = content(100_000)
        store.put("key", data)
        path = blob_path(store, "key")
        overwrite(path, data[:500] + bytes([data[500] ^ 1]) + data[501:])
        for _ in range(2):
            with pytest.raises(CorruptEntryError, match="digest") as caught:
                store.get("key")
            assert caught.value.key == "key"
        assert path.exists()
        store.put("key", data)
        assert store.get("key") == data

    def test_putting_the_same_contents_elsewhere_repairs_too(self, store: DiskBackend) -> None:
        data = content(100_000)
        store.put("key", data)
        overwrite(blob_path(store, "key"), bytes(100_000))
        with pytest.raises(CorruptEntryError):
            store.get("key")
        store.put("other", data)
        assert store.get("key") == data

    @pytest.mark.parametrize("found", [b"", b"x" * 99_999, b"x" * 100_001])
    def test_a_wrong_size_is_repaired_without_having_been_read(
        self, store: DiskBackend, found: bytes
    ) -> None:
        data = content(100_000)
        store.put("key", data)
        overwrite(blob_path(store, "key"), found)
        store.put("other", data)
        assert store.get("key") == data
        overwrite(blob_path(store, "key"), found)
        with pytest.raises(CorruptEntryError, match=f"{len(found)} bytes instead of 100000"):
            store.get("key")

    def test_a_missing_file_is_damage_and_is_repaired(self, store: DiskBackend) -> None:
        data = content(100_000)
        store.put("key", data)
        blob_path(store, "key").unlink()
        with pytest.raises(CorruptEntryError, match="missing"):
            store.get("key")
        store.put("key", data)
        assert store.get("key") == data

    def test_a_flipped_bit_in_the_catalogue(self, tmp_path: Path) -> None:
        data = content(900)
        with DiskBackend(tmp_path) as store:
            store.put("key", data)
        catalogue = tmp_path / "catalogue.sqlite3"
        raw = catalogue.read_bytes()
        assert raw.count(data[100:200]) == 1
        flipped = bytearray(raw)
        flipped[raw.index(data[100:200]) + 3] ^= 0x10
        catalogue.write_bytes(flipped)
        with DiskBackend(tmp_path) as store:
            with pytest.raises(CorruptEntryError, match="digest"):
                store.get("key")
            store.put("key", data)
            assert store.get("key") == data

    @pytest.mark.parametrize("mask", [0x80, 0x01])
    def test_a_damaged_letter_of_the_schema(self, tmp_path: Path, mask: int) -> None:
        """Whatever SQLite makes of it: the value, or the error that says what to do."""
        with DiskBackend(tmp_path) as store:
            store.put("key", b"value")
        catalogue = tmp_path / "catalogue.sqlite3"
        raw = catalogue.read_bytes()
        first = raw.index(b"CREATE")
        told = 0
        for at in random.sample(range(first, 4096), 60):
            catalogue.write_bytes(raw[:at] + bytes([raw[at] ^ mask]) + raw[at + 1 :])
            try:
                with DiskBackend.open_read_only(tmp_path) as store:
                    assert store.get("key") == b"value", at
            except BackendCorruptError as error:
                told += "repair --salvage" in str(error)
        assert told > 50

    def test_the_schema_is_of_its_format(self, store: DiskBackend) -> None:
        """Stores are compared with it: another letter is another `FORMAT_VERSION`."""
        with closing(sqlite3.connect(store.path / "catalogue.sqlite3")) as connection:
            made = connection.execute("SELECT sql FROM sqlite_schema ORDER BY rowid").fetchall()
        text = "\n".join(" ".join((sql or "").split()) for (sql,) in made)
        assert schema.FORMAT_VERSION == 3
        assert Digest.of(text.encode()).hex == (
            "62f0defd4c5037f40147917959d5eb85fef2c81029abba40e0d0ad6a3433a39d"
        )

    def test_a_reader_that_maps_files_can_tell(self, store: DiskBackend) -> None:
        data = content(100_000)
        store.put("key", data)
        path = blob_path(store, "key")
        overwrite(path, bytes(100_000))
        store.mark_damaged(Digest.of(data))
        store.put("key", data)
        assert path.read_bytes() == data

    def test_deleting_a_damaged_entry(self, store: DiskBackend) -> None:
        store.put("key", content(100_000))
        overwrite(blob_path(store, "key"), b"")
        assert store.delete("key")
        assert store.get("key") is None
