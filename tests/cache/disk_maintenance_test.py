"""Looking after a store: what is wrong is found, named and put right; what is right stays."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from torchstash.cache import (
    BackendMissingError,
    BackendQuotaError,
    BackendReadOnlyError,
    CorruptEntryError,
    Digest,
    DiskBackend,
    DiskMaintenance,
    Finding,
    FindingKind,
    Put,
    Quota,
)
from torchstash.tests.cache.backend_contract import content
from torchstash.tests.cache.disk_stores import blob_path, overwrite

SIZES = {"inline": 500, "packed": 5000, "packed2": 6000, "file": 100_000}
LONG_AGO = 1_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DiskBackend]:
    """A store with contents of each kind, one of them under two names, and a link to each."""
    with DiskBackend(tmp_path / "store") as backend:
        values = {key: content(size) for key, size in SIZES.items()}
        backend.put_many(values)
        backend.put("again", values["file"])
        backend.commit(
            [Put("parent", b"manifest", note=b"n", links=[Digest.of(v) for v in values.values()])]
        )
        yield backend


def findings(store: DiskBackend) -> list[Finding]:
    with DiskMaintenance(store.path, read_only=True) as maintenance:
        return [*maintenance.audit(), *maintenance.check_contents()]


def change(store: DiskBackend, statement: str, *arguments: object) -> None:
    """Change the catalogue behind the engine's back."""
    with sqlite3.connect(store.path / "catalogue.sqlite3") as connection:
        connection.execute(statement, arguments)
    connection.close()


class TestExamination:
    def test_a_sound_store(self, store: DiskBackend) -> None:
        store.delete("packed")
        assert findings(store) == []

    def test_an_empty_store(self, tmp_path: Path) -> None:
        with DiskBackend(tmp_path) as store:
            assert findings(store) == []

    def test_there_has_to_be_a_store(self, tmp_path: Path) -> None:
        with pytest.raises(BackendMissingError, match="no store"):
            DiskMaintenance(tmp_path / "absent")
        assert not (tmp_path / "absent").exists()

    def test_damaged_files_are_named(self, store: DiskBackend) -> None:
        overwrite(blob_path(store, "file"), bytes(100_000))
        [found] = findings(store)
        assert found.kind is FindingKind.CONTENTS
        assert found.keys == ("again", "file", "parent")
        assert found.digest == Digest.of(content(100_000)).raw
        blob_path(store, "file").unlink()
        assert "gone" in findings(store)[0].found
        overwrite_size = blob_path(store, "file")
        overwrite_size.write_bytes(b"short")
        assert "5 of 100000 bytes" in findings(store)[0].found

    def test_damaged_packed_bytes_are_named(self, store: DiskBackend) -> None:
        path = store.path / "packed.bin"
        raw = path.read_bytes()
        at = raw.index(content(5000)[:64])
        path.write_bytes(raw[: at + 7] + b"\xee" + raw[at + 8 :])
        [found] = findings(store)
        assert found.keys == ("packed", "parent")
        path.write_bytes(raw[: at + 100])
        assert {key for found in findings(store) for key in found.keys} >= {"packed", "parent"}

    def test_damaged_bytes_in_the_catalogue_are_named(self, store: DiskBackend) -> None:
        change(store, "UPDATE blobs SET data = zeroblob(500) WHERE size_bytes = 500")
        [found] = findings(store)
        assert found.keys == ("inline", "parent")

    def test_only_what_was_written_since(self, store: DiskBackend) -> None:
        overwrite(blob_path(store, "file"), bytes(100_000))
        change(store, "UPDATE entries SET written_unix_ns = 5 WHERE key IN (x'66696c65')")
        change(store, "UPDATE entries SET written_unix_ns = 4 WHERE key NOT IN (x'66696c65')")
        with DiskMaintenance(store.path) as maintenance:
            assert list(maintenance.check_contents(since_unix_ns=6)) == []
            [found] = maintenance.check_contents(since_unix_ns=5)
            assert found.keys == ("again", "file", "parent")
            hashed: list[int] = []
            list(maintenance.check_contents(since_unix_ns=5, on_progress=hashed.append))
            assert sum(hashed) == 100_000

    @pytest.mark.parametrize(
        ("statement", "kind", "keys"),
        [
            ("UPDATE blobs SET uses = uses + 1", FindingKind.USES, ()),
            ("UPDATE blobs SET uses = 1 WHERE uses > 1", FindingKind.USES, ()),
            ("UPDATE totals SET stored_bytes = 1", FindingKind.TOTALS, ()),
            ("UPDATE totals SET free_bytes = 64", FindingKind.FREE_SPACE, ()),
            ("UPDATE totals SET packed_end_bytes = 64", FindingKind.FREE_SPACE, ()),
            ("INSERT INTO free_space VALUES (64, 64)", FindingKind.FREE_SPACE, ()),
            ("UPDATE entries SET note = x'00' WHERE note NOT NULL", FindingKind.ENTRY, ("parent",)),
            (
                "INSERT INTO entries VALUES (x'ff', 99, 1, 1, NULL, 0)",
                FindingKind.DANGLING,
                (r"\xff",),
            ),
            ("INSERT INTO links SELECT max(id), 99 FROM blobs", FindingKind.DANGLING, ("parent",)),
        ],
    )
    def test_wrong_books(
        self, store: DiskBackend, statement: str, kind: FindingKind, keys: tuple[str, ...]
    ) -> None:
        change(store, statement)
        found = findings(store)
        assert {each.kind for each in found} == {kind}
        assert found[0].keys == keys
        with DiskMaintenance(store.path) as maintenance:
            assert [each.kind for each in maintenance.repair()] == [each.kind for each in found]
        if kind is not FindingKind.ENTRY:
            assert findings(store) == []
        for key, size_bytes in SIZES.items():
            assert store.get(key) == content(size_bytes)

    def test_files_that_nothing_leads_to(self, store: DiskBackend) -> None:
        path = blob_path(store, "file")
        stray = path.parent / (path.name[:2] + "0" * 62)
        stray.touch()
        assert findings(store) == []  # Its writer may be about to commit.
        os.utime(stray, (LONG_AGO, LONG_AGO))
        (store.path / "notes.txt").touch()
        found = findings(store)
        assert [each.kind for each in found] == [FindingKind.STRAY_FILE] * 2
        assert str(stray) in found[0].found
        assert "notes.txt" in found[1].found
        assert not any(each.kind.loses_data for each in found)

    def test_a_damaged_catalogue_is_a_finding(self, store: DiskBackend) -> None:
        for i in range(300):
            store.put(f"{i}", content(1000, i))
        store.close()
        path = store.path / "catalogue.sqlite3"
        raw = bytearray(path.read_bytes())
        raw[5 * 4096 : 9 * 4096] = os.urandom(4 * 4096)
        path.write_bytes(raw)
        with DiskMaintenance(store.path, read_only=True) as maintenance:
            assert FindingKind.CATALOGUE in {each.kind for each in maintenance.audit()}


class TestRepair:
    def test_damaged_contents_are_written_anew_by_the_next_put(self, store: DiskBackend) -> None:
        overwrite(blob_path(store, "file"), bytes(100_000))
        with DiskMaintenance(store.path) as maintenance:
            [found] = maintenance.repair()
        assert found.kind.loses_data
        with pytest.raises(CorruptEntryError):
            store.get("again")
        store.put("elsewhere", content(100_000))
        assert store.get("again") == content(100_000)
        assert findings(store) == []

    def test_shared_bytes_are_told_apart(self, store: DiskBackend) -> None:
        place = "SELECT packed_offset_bytes + 64 FROM blobs WHERE size_bytes = 6000"
        change(store, f"UPDATE blobs SET packed_offset_bytes = ({place}) WHERE size_bytes = 5000")
        assert {each.kind for each in findings(store)} == {
            FindingKind.FREE_SPACE,
            FindingKind.CONTENTS,
        }
        with DiskMaintenance(store.path) as maintenance:
            list(maintenance.repair())
        store.put("packed", content(5000))
        assert store.get("packed") == content(5000)
        assert store.get("packed2") == content(6000)
        assert findings(store) == []

    def test_unused_contents_go_and_with_them_what_they_led_to(self, store: DiskBackend) -> None:
        for key in ("file", "again", "parent"):
            change(store, "DELETE FROM entries WHERE key = CAST(? AS BLOB)", key)
        with DiskMaintenance(store.path) as maintenance:
            list(maintenance.repair())
            assert findings(store) == []
            assert maintenance.collect().orphan_files == 1
        assert store.stats().stored_bytes == 500 + 5000 + 6000


def _orphan(store: DiskBackend) -> Path:
    """A file as a writer leaves it that dies between publishing and committing."""
    digest = Digest.of(content(70_000, 1)).hex
    (store.path / "tmp" / f"{1:032x}.journal").write_text(f"{digest}\n{digest[:9]}")
    path = store.path / "blobs" / digest[:2] / digest
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content(70_000, 1))
    return path


class TestCollection:
    def test_what_a_dead_writer_noted_goes_at_once(self, store: DiskBackend) -> None:
        path = _orphan(store)
        with DiskMaintenance(store.path, read_only=True) as maintenance:
            planned = maintenance.collect(dry_run=True)
            with pytest.raises(BackendReadOnlyError):
                maintenance.collect()
        assert path.exists()
        with DiskMaintenance(store.path) as maintenance:
            assert maintenance.collect() == planned
            assert planned.orphan_files == 1
            assert planned.freed_bytes == 70_000
            assert maintenance.collect().orphan_files == 0
        assert not path.exists()
        assert list((store.path / "tmp").iterdir()) == []

    def test_what_was_noted_and_is_in_use_stays(self, store: DiskBackend) -> None:
        _orphan(store)
        store.put("mine", content(70_000, 1))
        with DiskMaintenance(store.path) as maintenance:
            assert maintenance.collect().orphan_files == 0
        assert store.get("mine") == content(70_000, 1)
        assert list((store.path / "tmp").iterdir()) == []

    def test_the_cost_grows_with_the_garbage(
        self, store: DiskBackend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _orphan(store)
        looked_at: list[object] = []
        stat: Callable[..., os.stat_result] = os.stat

        def noted_stat(*arguments: Any, **options: Any) -> os.stat_result:
            looked_at.append(arguments[0])
            return stat(*arguments, **options)

        monkeypatch.setattr(os, "stat", noted_stat)
        with DiskMaintenance(store.path) as maintenance:
            maintenance.collect()
            few = len(looked_at)
            for i in range(20):
                store.put(f"{i}", content(70_000, 10 + i))
            _orphan(store)
            looked_at.clear()
            maintenance.collect()
        assert len(looked_at) <= few

    def test_an_audit_finds_what_nobody_noted(self, store: DiskBackend) -> None:
        path = _orphan(store)
        [notes] = (store.path / "tmp").iterdir()
        notes.unlink()
        with DiskMaintenance(store.path) as maintenance:
            assert maintenance.collect().orphan_files == 0
            assert maintenance.collect(audit=True, dry_run=True).orphan_files == 1
            assert maintenance.collect(audit=True).orphan_files == 1
        assert not path.exists()

    def test_unpublished_files_have_a_grace_period(self, store: DiskBackend) -> None:
        path = store.path / "tmp" / f"{2:032x}.part"
        path.write_bytes(bytes(10))
        with DiskMaintenance(store.path) as maintenance:
            assert maintenance.collect().temporary_files == 0
            assert maintenance.collect(grace_seconds=0, dry_run=True).temporary_files == 1
            assert path.exists()
            assert maintenance.collect(grace_seconds=0).temporary_files == 1
            assert not path.exists()

    def test_writers_leave_no_notes(self, store: DiskBackend) -> None:
        for i in range(3):
            store.put("file", content(100_000, i))
        store.delete("file")
        store.rename("again", "file")
        assert list((store.path / "tmp").iterdir()) == []

    def test_keys_by_prefix_and_time(self, store: DiskBackend) -> None:
        store.put("packed\N{GREEK SMALL LETTER ALPHA}", b"x")
        change(store, "UPDATE entries SET written_unix_ns = 5")
        store.put("packed3", b"y")
        with DiskMaintenance(store.path, read_only=True) as maintenance:
            assert maintenance.keys_written_before("packed", 5) == []
            assert maintenance.keys_written_before("packed", 6) == [
                "packed",
                "packed2",
                "packed\N{GREEK SMALL LETTER ALPHA}",
            ]


class TestQuota:
    def test_a_write_beyond_it_is_refused_whole(self, store: DiskBackend) -> None:
        used = sum(SIZES.values()) + len(b"manifest")
        with DiskMaintenance(store.path) as maintenance:
            assert maintenance.quota() == Quota(used, None)
            maintenance.set_quota(used + 100)
            assert maintenance.quota() == Quota(used, used + 100)
        with DiskBackend(store.path) as other:
            for size_bytes in (101, 2000, 100_001):
                with pytest.raises(BackendQuotaError, match=f"uses {used}; {size_bytes} ") as error:
                    other.commit([Put("x", b""), Put("new", content(size_bytes, 9))])
                assert error.value.used_bytes == used
                assert error.value.asked_bytes == size_bytes
                assert error.value.quota_bytes == used + 100
            assert not other.contains("x")
            other.put("new", content(100, 9))
            other.put("known", content(100_000))
        assert findings(store) == []
        with DiskMaintenance(store.path) as maintenance:
            left = maintenance.collect(grace_seconds=0, audit=True)
        assert (left.orphan_files, left.temporary_files) == (0, 0)

    def test_a_store_over_its_quota_may_shrink(self, store: DiskBackend) -> None:
        with DiskMaintenance(store.path) as maintenance:
            maintenance.set_quota(0)
            store.delete("parent")
            store.put("inline", content(499))
            with pytest.raises(BackendQuotaError):
                store.put("inline", content(500))
            assert store.delete("packed2")
            store.put("same", content(499))
            maintenance.set_quota(None)
            store.put("inline", content(500))
            with pytest.raises(ValueError, match="number of bytes"):
                maintenance.set_quota(-1)
