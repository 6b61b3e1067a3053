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
    EntryExistsError,
)
from torchstash.cache.disk import DiskMaintenance, FindingKind, Put, schema
from torchstash.tests.cache.backend_contract import content
from torchstash.tests.cache.disk_stores import blob_path, overwrite


def _change(store: DiskBackend, statement: str) -> None:
    """Change the catalogue behind the engine's back."""
    with closing(sqlite3.connect(store.path / "catalogue.sqlite3")) as connection, connection:
        connection.execute(statement)


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

    @pytest.mark.parametrize(
        "damage",
        [
            "UPDATE entries SET blob_id = 2 WHERE key = x'6b6579'",
            "UPDATE entries SET note = x'73616964' WHERE key = x'6b6579'",
            "UPDATE entries SET note = 'said' WHERE key = x'6b6579'",
            "UPDATE entries SET note = NULL WHERE key = x'6b6579'",
            "UPDATE entries SET crc32 = crc32 + 1 WHERE key = x'6b6579'",
            "UPDATE blobs SET digest = zeroblob(32) WHERE id = 1",
        ],
    )
    def test_a_damaged_entry_is_nothing_else(self, store: DiskBackend, damage: str) -> None:
        """SQLite takes what a flipped bit made for what was written."""
        store.commit([Put("key", b"value", note=b"Said"), Put("other", b"another")])
        _change(store, damage)
        assert store.get("other") == b"another"
        for read in (store.get, store.locate, lambda key: store.rename(key, "new")):
            with pytest.raises(CorruptEntryError):
                read("key")
        store.commit([Put("key", b"value", note=b"Said")])
        assert store.get("key") == b"value"

    def test_renaming_over_an_entry_whose_contents_have_no_row(self, store: DiskBackend) -> None:
        store.put_many({"a": b"value", "b": b"another"})
        _change(store, "UPDATE entries SET blob_id = 99 WHERE key = x'62'")
        with pytest.raises(EntryExistsError):
            store.rename("a", "b")
        with pytest.raises(CorruptEntryError):
            store.rename("b", "c")
        assert store.rename("a", "b", replace=True)
        assert store.get("b") == b"value"

    def test_a_damaged_key_is_no_other_key(self, store: DiskBackend) -> None:
        store.put("key", b"value")
        _change(store, "UPDATE entries SET key = x'6b657a'")
        assert list(store.keys()) == ["kez"]
        with pytest.raises(CorruptEntryError):
            store.get("kez")
        with DiskMaintenance(store.path) as maintenance:
            [found] = maintenance.audit()
        assert (found.kind, found.keys) == (FindingKind.ENTRY, ("kez",))

    @pytest.mark.parametrize("overwrite_it", [True, False])
    def test_what_a_damaged_entry_leads_to_stays(
        self, store: DiskBackend, *, overwrite_it: bool
    ) -> None:
        store.put_many({"key": b"value", "other": b"another"})
        _change(store, "UPDATE entries SET blob_id = 2 WHERE key = x'6b6579'")
        if overwrite_it:
            store.put("key", b"value")
            assert store.get("key") == b"value"
        else:
            assert store.delete("key")
        assert store.get("other") == b"another"
        with DiskMaintenance(store.path) as maintenance:
            assert {each.kind for each in maintenance.repair()} == {FindingKind.USES}
            assert list(maintenance.audit()) == []
        assert store.get("other") == b"another"

    def test_the_schema_is_of_its_format(self, store: DiskBackend) -> None:
        """Stores are compared with it: another letter is another `FORMAT_VERSION`."""
        with closing(sqlite3.connect(store.path / "catalogue.sqlite3")) as connection:
            made = connection.execute("SELECT sql FROM sqlite_schema ORDER BY rowid").fetchall()
        text = "\n".join(" ".join((sql or "").split()) for (sql,) in made)
        assert schema.FORMAT_VERSION == 4
        assert Digest.of(text.encode()).hex == (
            "0cb6b22e821411eb6190a6fe996ab823474fd8dbd69350b5543044e4480f7a1f"
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
