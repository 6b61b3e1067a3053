import os
import pickle
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from torchstash.cache import (
    BackendClosedError,
    BackendCorruptError,
    BackendFormatError,
    BackendMissingError,
    BackendReadOnlyError,
    CorruptEntryError,
    DiskBackend,
)
from torchstash.tests.cache.backend_contract import content
from torchstash.tests.cache.disk_stores import blob_path, overwrite


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DiskBackend]:
    with DiskBackend(tmp_path / "store") as backend:
        yield backend


class TestRefusals:
    def test_a_catalogue_that_is_no_database(self, tmp_path: Path) -> None:
        path = tmp_path / "catalogue.sqlite3"
        path.write_bytes(b"precious notes, not SQLite" * 400)
        with pytest.raises(BackendCorruptError, match="nothing was deleted"):
            DiskBackend(tmp_path)
        with pytest.raises(BackendCorruptError, match="nothing was deleted"):
            DiskBackend.open_read_only(tmp_path)
        assert path.read_bytes() == b"precious notes, not SQLite" * 400

    def test_a_damaged_catalogue(self, tmp_path: Path) -> None:
        with DiskBackend(tmp_path) as store:
            for i in range(300):
                store.put(f"{i}", content(1000, i))
        path = tmp_path / "catalogue.sqlite3"
        raw = bytearray(path.read_bytes())
        raw[8192 : 3 * 8192] = os.urandom(2 * 8192)
        path.write_bytes(raw)
        with DiskBackend(tmp_path) as store, pytest.raises(BackendCorruptError):
            [store.get(f"{i}") for i in range(300)]
        assert path.stat().st_size == len(raw)

    def test_a_database_of_something_else(self, tmp_path: Path) -> None:
        path = tmp_path / "catalogue.sqlite3"
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE precious (x)")
        other.close()
        before = path.read_bytes()
        with pytest.raises(BackendFormatError, match="none of torchstash's"):
            DiskBackend(tmp_path)
        assert path.read_bytes() == before

    @pytest.mark.parametrize(("version", "user"), [(2, "an older"), (5, "a newer")])
    def test_another_format(self, tmp_path: Path, version: int, user: str) -> None:
        DiskBackend(tmp_path).close()
        with sqlite3.connect(tmp_path / "catalogue.sqlite3") as newer:
            newer.execute(f"PRAGMA user_version = {version}")
        newer.close()
        for open_store in (DiskBackend, DiskBackend.open_read_only):
            with pytest.raises(BackendFormatError, match=rf"format {version}.*{user} torchstash"):
                open_store(tmp_path)

    def test_an_empty_catalogue_file_is_a_new_store(self, tmp_path: Path) -> None:
        (tmp_path / "catalogue.sqlite3").touch()
        with DiskBackend(tmp_path) as store:
            store.put("key", b"x")

    def test_use_after_close(self, tmp_path: Path) -> None:
        store = DiskBackend(tmp_path)
        store.put("key", b"x")
        store.close()
        store.close()
        for use in (
            lambda: store.get("key"),
            lambda: store.put("key", b"y"),
            lambda: store.put("key", content(100_000)),
            lambda: store.delete("key"),
            lambda: store.contains("key"),
            lambda: store.locate("key"),
            lambda: list(store.keys()),
            store.stats,
        ):
            with pytest.raises(BackendClosedError, match="open it again"):
                use()
        assert list((tmp_path / "tmp").iterdir()) == []

    def test_a_store_that_was_deleted_does_not_take_what_it_would_lose(
        self, tmp_path: Path
    ) -> None:
        with DiskBackend(tmp_path / "store") as store:
            store.put("key", b"x")
            (tmp_path / "store").rename(tmp_path / "moved")
            for value in (b"y", content(100_000)):
                with pytest.raises(BackendMissingError):
                    store.put("key", value)
            DiskBackend(tmp_path / "store").close()
            with pytest.raises(BackendMissingError, match="replaced"):
                store.put("key", b"y")
        with DiskBackend(tmp_path / "moved") as moved:
            assert moved.get("key") == b"x"

    def test_a_path_below_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(Exception, match="cannot be used"):
            DiskBackend(tmp_path / "file" / "store")


class TestReadOnly:
    def test_reads_and_refuses_to_write(self, store: DiskBackend) -> None:
        store.put("small", b"x")
        store.put("large", content(100_000))
        with DiskBackend.open_read_only(store.path) as reader:
            assert reader.get("small") == b"x"
            assert reader.get("large") == content(100_000)
            assert reader.get("absent") is None
            assert list(reader.keys()) == ["large", "small"]
            store.put("later", b"y")
            assert reader.get("later") == b"y"
            for write in (
                lambda: reader.put("key", b"x"),
                lambda: reader.delete("small"),
                reader.sweep,
            ):
                with pytest.raises(BackendReadOnlyError, match="read-only"):
                    write()
            with pickle.loads(pickle.dumps(reader)) as other:
                assert other.get("small") == b"x"
                with pytest.raises(BackendReadOnlyError):
                    other.put("key", b"x")

    def test_a_damaged_entry_is_still_found_out(self, store: DiskBackend) -> None:
        store.put("key", content(100_000))
        overwrite(blob_path(store, "key"), bytes(100_000))
        with (
            DiskBackend.open_read_only(store.path) as reader,
            pytest.raises(CorruptEntryError, match="digest"),
        ):
            reader.get("key")

    def test_a_missing_store_is_not_made(self, tmp_path: Path) -> None:
        with pytest.raises(BackendMissingError, match="there is no store"):
            DiskBackend.open_read_only(tmp_path / "absent")
        assert not (tmp_path / "absent").exists()
        (tmp_path / "catalogue.sqlite3").touch()
        with pytest.raises(BackendMissingError, match="never written"):
            DiskBackend.open_read_only(tmp_path)
