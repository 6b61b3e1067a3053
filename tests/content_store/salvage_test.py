"""A new catalogue from a damaged one: no crash, no wrong tensor, and what is whole comes back."""

import os
import random
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from torchstash.cache.disk.salvage.found_rows import table_roots
from torchstash.content_store import (
    ContentStoreError,
    ContentStoreMaintenance,
    ContentStoreReader,
    ContentStoreWriter,
    ProblemKind,
    StoreUnavailableError,
)
from torchstash.tests.faults.effort import effort
from torchstash.tests.faults.memory_folder import memory_folder
from torchstash.tests.faults.ptrace import needs_ptrace
from torchstash.tests.faults.some_calls import some
from torchstash.tests.faults.tracer import Act, Call, trace

__all__ = ["memory_folder"]  # A fixture that pytest finds here.

PAGE_BYTES = 4096
CATALOGUE = "catalogue.sqlite3"

# In the catalogue, in the packed file, and in files; enough for several pages of each table.
TENSORS = {
    **{f"small/{i:03}": torch.arange(20.0) + 1000 * i for i in range(120)},
    **{f"packed/{i:03}": torch.arange(900) + 1000 * i for i in range(60)},
    **{f"large/{i}": torch.arange(20_000) + i for i in range(4)},
    # Rows that take pages of their own.
    **{f"{i}".rjust(1024, "n"): torch.arange(10) + i for i in range(5)},
}
SNAPSHOTS = {
    f"run/{i:02}": {"w": TENSORS["large/1"], "own": torch.arange(30_000 + i), "step": [i]}
    for i in range(12)
}
NAMES = len(TENSORS) + len(SNAPSHOTS)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store at rest, in which much was deleted."""
    location = tmp_path_factory.mktemp("whole") / "store"
    with ContentStoreWriter(location) as writer:
        gone = {f"gone/{i:03}": torch.arange(25) + i for i in range(150)}
        writer.write_tensors({**TENSORS, **gone})
        for name, state in SNAPSHOTS.items():
            writer.save_state_dict(name, state)
        for name in gone:
            writer.delete_tensor(name)
    assert not (location / f"{CATALOGUE}-wal").exists()
    return location


def copied(whole: Path, location: Path) -> Path:
    """The store again."""
    shutil.rmtree(location, ignore_errors=True)
    shutil.copytree(whole, location)
    return location


def equal(found: object, wanted: dict[str, object]) -> bool:
    return (
        isinstance(found, dict)
        and torch.equal(found["w"], wanted["w"])  # type: ignore[arg-type]
        and torch.equal(found["own"], wanted["own"])  # type: ignore[arg-type]
        and found["step"] == wanted["step"]
    )


def salvaged(location: Path) -> int:
    """How many names came back, each as it was written; the store is sound and can be written."""
    report = ContentStoreMaintenance(location).salvage()
    assert report.kept_aside.exists()
    count = 0
    with ContentStoreReader(location, cache=False) as reader:
        for name in reader.names():
            tensor = reader.read_tensor(name)
            # A damaged letter of a name nobody can tell: then it is a name that nobody has given.
            wanted = [TENSORS[name]] if name in TENSORS else TENSORS.values()
            assert any(torch.equal(tensor, each) for each in wanted), name
            count += name in TENSORS
        for name in reader.snapshots():
            state = reader.load_state_dict(name)
            expected = [SNAPSHOTS[name]] if name in SNAPSHOTS else SNAPSHOTS.values()
            assert any(equal(state, each) for each in expected), name
            count += name in SNAPSHOTS
        # Whatever has lost its name is there under its digest.
        for digest in report.nameless_storages:
            reader.read_storage(digest)
    kinds = {problem.kind for problem in ContentStoreMaintenance(location).verify()}
    assert kinds <= {ProblemKind.STRAY_FILE}
    with ContentStoreWriter(location) as writer:
        writer.write_tensors(TENSORS)
        for name, state in SNAPSHOTS.items():
            writer.save_state_dict(name, state)
    with ContentStoreReader(location) as reader:
        assert all(torch.equal(reader.read_tensor(name), t) for name, t in TENSORS.items())
    return count


def put(location: Path, at: int, octets: bytes) -> None:
    """Write into the catalogue, past SQLite."""
    with (location / CATALOGUE).open("r+b") as file:
        file.seek(at)
        file.write(octets)


def test_the_roots_are_where_every_store_has_them(whole: Path) -> None:
    uri = f"{(whole / CATALOGUE).as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        found = dict(connection.execute("SELECT name, rootpage FROM sqlite_schema"))
    assert {"sqlite_schema": 1, **found} == table_roots()


def test_nothing_is_lost_of_a_sound_one(whole: Path, memory_folder: Path) -> None:
    location = copied(whole, memory_folder / "store")
    (location / CATALOGUE).chmod(0o660)
    report = ContentStoreMaintenance(location).salvage()
    assert (location / CATALOGUE).stat().st_mode & 0o777 == 0o660
    assert (report.tensors, report.snapshots) == (len(TENSORS), len(SNAPSHOTS))
    assert report.lost_tensors == report.lost_snapshots == report.nameless_storages == ()
    assert report.damaged_pages == 0
    assert salvaged(location) == NAMES


def test_the_log_of_a_dead_writer_counts(whole: Path, memory_folder: Path) -> None:
    location = copied(whole, memory_folder / "store")
    with ContentStoreWriter(location) as writer:
        writer.write_tensor("small/000", torch.arange(7))
        writer.delete_tensor("small/001")
        shutil.copytree(location, memory_folder / "dead")
    assert (memory_folder / "dead" / f"{CATALOGUE}-wal").stat().st_size > 0
    put(memory_folder / "dead", 0, bytes(16))
    report = ContentStoreMaintenance(memory_folder / "dead").salvage()
    assert report.tensors == len(TENSORS) - 1
    assert Path(f"{report.kept_aside}-wal").exists()
    with ContentStoreReader(memory_folder / "dead") as reader:
        assert torch.equal(reader.read_tensor("small/000"), torch.arange(7))


def test_every_page_that_becomes_zeros(whole: Path, memory_folder: Path) -> None:
    """Of the rows all but those of the page come back, whichever it is."""
    pages = (whole / CATALOGUE).stat().st_size // PAGE_BYTES
    for number in random.sample(range(pages), min(pages, effort(12))):
        location = copied(whole, memory_folder / "store")
        put(location, number * PAGE_BYTES, bytes(PAGE_BYTES))
        kept = salvaged(location)
        print(f"page {number + 1} of {pages}: {kept} of {NAMES} names")  # noqa: T201
        assert kept > NAMES - 80


def test_inner_pages_are_not_missed(whole: Path, memory_folder: Path) -> None:
    """What the root of a table led to is found all the same: all names but those in the root."""
    for table in ("entries", "blobs"):
        location = copied(whole, memory_folder / table)
        put(location, (table_roots()[table] - 1) * PAGE_BYTES, bytes(PAGE_BYTES))
        with ContentStoreReader(location) as reader, pytest.raises(ContentStoreError):
            reader.read_tensor("small/000")
        assert salvaged(location) >= NAMES - 20


def test_the_sort_of_a_page(whole: Path, memory_folder: Path) -> None:
    """A root that does not say any more that it leads to others; SQLite knows nothing of it all."""
    for table in ("entries", "blobs"):
        location = copied(whole, memory_folder / table)
        put(location, 0, b"\xff")
        put(location, (table_roots()[table] - 1) * PAGE_BYTES, b"\x03")
        assert salvaged(location) == NAMES


@settings(
    max_examples=effort(25),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_flipped_bytes(whole: Path, memory_folder: Path, data: st.DataObject) -> None:
    location = copied(whole, memory_folder / "store")
    size_bytes = (whole / CATALOGUE).stat().st_size
    # Half of them where much depends on a byte: the heads of pages.
    heads = st.builds(
        lambda page, at: page * PAGE_BYTES + at,
        st.integers(0, size_bytes // PAGE_BYTES - 1),
        st.integers(0, 99),
    )
    places = st.lists(st.one_of(heads, st.integers(0, size_bytes - 1)), min_size=1, max_size=4)
    octets = bytearray((location / CATALOGUE).read_bytes())
    flips = [(at, data.draw(st.integers(1, 255))) for at in data.draw(places)]
    for at, mask in flips:
        octets[at] ^= mask
    (location / CATALOGUE).write_bytes(octets)
    kept = salvaged(location)
    # Of several one may be of what the other could have been told by.
    assert kept > NAMES - 80 or len(flips) > 1


@settings(
    max_examples=effort(8),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(share=st.floats(0, 1), aligned=st.booleans())
def test_truncated(whole: Path, memory_folder: Path, share: float, aligned: bool) -> None:
    location = copied(whole, memory_folder / "store")
    size_bytes = int((whole / CATALOGUE).stat().st_size * share)
    os.truncate(location / CATALOGUE, size_bytes - size_bytes % PAGE_BYTES * aligned)
    salvaged(location)


def test_a_lost_log(whole: Path, memory_folder: Path) -> None:
    location = copied(whole, memory_folder / "store")
    with ContentStoreWriter(location) as writer:
        for name, tensor in TENSORS.items():
            writer.write_tensor(name, tensor + 1)
        shutil.copytree(location, memory_folder / "dead")
    (memory_folder / "dead" / f"{CATALOGUE}-wal").unlink()
    ContentStoreMaintenance(memory_folder / "dead").salvage()
    with ContentStoreReader(memory_folder / "dead") as reader:
        for name in reader.names():
            assert any(torch.equal(reader.read_tensor(name), TENSORS[name] + i) for i in (0, 1))
    assert {p.kind for p in ContentStoreMaintenance(memory_folder / "dead").verify()} <= {
        ProblemKind.STRAY_FILE
    }


@settings(
    max_examples=effort(8),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_a_damaged_log(whole: Path, memory_folder: Path, data: st.DataObject) -> None:
    """It counts as far as it is whole: every name is of one commit or of a later one."""
    location = copied(whole, memory_folder / "store")
    shutil.rmtree(memory_folder / "dead", ignore_errors=True)
    with ContentStoreWriter(location) as writer:
        for version in range(1, 4):
            writer.write_tensors({name: TENSORS[name] + version for name in list(TENSORS)[:20]})
        shutil.copytree(location, memory_folder / "dead")
    log = memory_folder / "dead" / f"{CATALOGUE}-wal"
    octets = bytearray(log.read_bytes())
    for at in data.draw(st.lists(st.integers(0, len(octets) - 1), min_size=1, max_size=3)):
        octets[at] ^= data.draw(st.integers(1, 255))
    log.write_bytes(octets[: data.draw(st.sampled_from([len(octets), at]))])
    ContentStoreMaintenance(memory_folder / "dead").salvage()
    with ContentStoreReader(memory_folder / "dead") as reader:
        for name in reader.names():
            found = reader.read_tensor(name)
            assert any(torch.equal(found, TENSORS[name] + version) for version in range(4))


def test_on_a_network_the_new_one_is_kept_as_the_old_one_was(
    whole: Path, memory_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = copied(whole, memory_folder / "store")
    put(location, 100, b"\xff" * 8)
    monkeypatch.setattr("torchstash.cache.disk.salvage.salvaging.is_on_network", lambda _: True)
    assert ContentStoreMaintenance(location).salvage().tensors == len(TENSORS)
    # The versions of the format that may write and read it: with a rollback journal.
    assert (location / CATALOGUE).read_bytes()[18:20] == b"\1\1"


def test_a_damaged_tensor_is_lost_by_name(whole: Path, memory_folder: Path) -> None:
    location = copied(whole, memory_folder / "store")
    packed = bytearray((location / "packed.bin").read_bytes())
    at = packed.index(TENSORS["packed/007"].numpy().tobytes())
    packed[at + 100] ^= 1
    (location / "packed.bin").write_bytes(packed)
    report = ContentStoreMaintenance(location).salvage()
    assert report.lost_tensors == ("packed/007",)
    assert report.tensors == len(TENSORS) - 1


def test_who_uses_the_store_is_not_disturbed(whole: Path, memory_folder: Path) -> None:
    location = copied(whole, memory_folder / "store")
    before = (location / CATALOGUE).read_bytes()
    with ContentStoreReader(location) as reader:
        reader.read_tensor("small/000")
        with pytest.raises(StoreUnavailableError, match="in use"):
            ContentStoreMaintenance(location).salvage()
        reader.read_tensor("small/001")
    assert (location / CATALOGUE).read_bytes() == before


@needs_ptrace
def test_killed_at_a_system_call(whole: Path, memory_folder: Path) -> None:
    """Before and after, the folder has a catalogue of all names; at the second attempt at last."""

    def dead(location: Path) -> Path:
        copied(whole, memory_folder / "living")
        shutil.rmtree(location, ignore_errors=True)
        with ContentStoreWriter(memory_folder / "living") as writer:
            writer.write_tensor("new", torch.arange(9))
            shutil.copytree(memory_folder / "living", location)
        # A letter of the schema: SQLite can do nothing with it.
        put(location, 100, b"\xff" * 8)
        return location

    def work() -> int:
        torch.set_num_threads(1)  # PyTorch's own threads did not cross the fork.
        ContentStoreMaintenance(memory_folder / "store").salvage()
        return 0

    calls: list[Call] = []

    def count(call: Call) -> Act:
        calls.append(call)
        return Act.GO_ON

    dead(memory_folder / "store")
    assert trace(work, count).exit_code == 0
    # Most of them read and hash.
    changes = [call for call in calls if call.name is not None]
    for call in some(changes, 12):
        location = dead(memory_folder / "store")
        at = call.index
        outcome = trace(work, lambda now, at=at: Act.KILL if now.index >= at else Act.GO_ON)  # type: ignore[misc]
        assert outcome.was_killed
        if not any(location.glob(f"{CATALOGUE}.damaged-*")):
            assert ContentStoreMaintenance(location).salvage().tensors == len(TENSORS) + 1
        with suppress(ContentStoreError), ContentStoreReader(location) as reader:
            list(reader.names())
        report = ContentStoreMaintenance(location).salvage()
        assert report.tensors == len(TENSORS) + 1
        assert report.snapshots == len(SNAPSHOTS)
        assert not list((location / "tmp").iterdir())
