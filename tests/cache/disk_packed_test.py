"""The packed file: its bytes are shared out exactly, used again, and never under a reader."""

import random
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from torchstash.cache import CorruptEntryError, Digest, DiskBackend, MissingLinkError, Put, Slices
from torchstash.tests.cache.backend_contract import content

SIZES = (1025, 2000, 4096, 5000, 30_000, 64 << 10)
ALIGNMENT_BYTES = 64


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DiskBackend]:
    with DiskBackend(tmp_path / "store") as backend:
        yield backend


def check_space(store: DiskBackend) -> None:
    """Entries and free extents cover the packed file up to its end, once."""
    connection = sqlite3.connect(store.path / "catalogue.sqlite3")
    rounded = f"(size_bytes + {ALIGNMENT_BYTES - 1}) / {ALIGNMENT_BYTES} * {ALIGNMENT_BYTES}"
    extents = connection.execute(
        f"SELECT packed_offset_bytes, {rounded} FROM blobs "
        "WHERE packed_offset_bytes IS NOT NULL UNION ALL SELECT * FROM free_space ORDER BY 1"
    ).fetchall()
    end_bytes, free_bytes = connection.execute(
        "SELECT packed_end_bytes, free_bytes FROM totals"
    ).fetchone()
    free = connection.execute("SELECT coalesce(sum(size_bytes), 0) FROM free_space").fetchone()[0]
    connection.close()
    reached = 0
    for offset, size in extents:
        assert offset == reached
        reached += size
    assert (reached, free) == (end_bytes, free_bytes)


@pytest.mark.parametrize("seed", range(3))
def test_random_histories_share_out_every_byte_once(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    model: dict[str, bytes] = {}
    with DiskBackend(tmp_path) as store:
        for _ in range(200):
            if rng.random() < 0.4:
                key = rng.choice("abcdefghij")
                assert store.delete(key) == (model.pop(key, None) is not None)
            else:
                batch = {
                    rng.choice("abcdefghij"): content(rng.choice(SIZES), rng.randrange(4))
                    for _ in range(rng.randint(1, 5))
                }
                store.commit(Put(key, value) for key, value in batch.items())
                model.update(batch)
            check_space(store)
            assert {key: store.get(key) for key in store.keys()} == model  # noqa: SIM118 - no dict
        store.sweep()
        assert {key: store.get(key) for key in store.keys()} == model  # noqa: SIM118 - no dict
        for key in model:
            store.delete(key)
        check_space(store)
        store.sweep()
        assert (tmp_path / "packed.bin").stat().st_size == 0


def test_space_is_used_again(store: DiskBackend) -> None:
    for turn in range(20):
        for i in range(10):
            store.put(f"{i}", content(4096, turn * 10 + i))
    # An overwritten value keeps its place until the new one is committed: one more than there are.
    assert (store.path / "packed.bin").stat().st_size <= 11 * 4096


def test_what_failed_leaves_what_was(store: DiskBackend) -> None:
    store.put("a", content(4096, 1))

    def puts() -> Iterator[Put]:
        yield Put("a", content(5000, 2))
        yield Put("b", content(4096, 3), links=[Digest.of(b"nowhere")])

    with pytest.raises(MissingLinkError, match="same commit"):
        store.commit(puts())
    check_space(store)
    assert store.get("a") == content(4096, 1)
    assert not store.contains("b")


@pytest.mark.parametrize("damage", ["flip", "cut"])
def test_damage_is_found_and_repaired(store: DiskBackend, damage: str) -> None:
    data = content(4096)
    store.put("before", content(2000))
    store.put("key", data)
    path = store.path / "packed.bin"
    raw = path.read_bytes()
    start = raw.index(data)
    flipped = raw[: start + 7] + bytes([raw[start + 7] ^ 1]) + raw[start + 8 :]
    path.write_bytes(flipped if damage == "flip" else raw[:-1])
    with pytest.raises(CorruptEntryError, match="digest" if damage == "flip" else "4095 bytes"):
        store.get("key")
    store.put("elsewhere", data)
    assert store.get("key") == data
    assert store.get("before") == content(2000)
    check_space(store)


def test_a_cut_off_value_is_repaired_without_having_been_read(store: DiskBackend) -> None:
    store.put("key", content(4096))
    (store.path / "packed.bin").write_bytes(b"")
    store.put("key", content(4096))
    assert store.get("key") == content(4096)


def test_readers_see_old_or_new_while_bytes_are_used_anew(store: DiskBackend) -> None:
    values = [content(4096, i) for i in range(50)]
    store.put("key", values[0])
    stop = threading.Event()
    wrong: list[object] = []

    def read() -> None:
        with DiskBackend.open_read_only(store.path) as reader:
            while not stop.is_set():
                try:
                    found = reader.get("key")
                except CorruptEntryError as error:
                    wrong.append(error)
                else:
                    if found not in values:
                        wrong.append(found)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for turn in range(600):
        store.put("key", values[turn % 50])
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []


class TestLinks:
    def test_linked_contents_live_as_long_as_what_links_them(self, store: DiskBackend) -> None:
        parts = [content(size, 1) for size in (10, 4096, 100_000)]
        digests = [Digest.of(part) for part in parts]
        contents = [Put(None, part, digest) for part, digest in zip(parts, digests, strict=True)]
        store.commit([*contents, Put("a", b"manifest a", links=digests)])
        store.commit([Put("b", b"manifest b", links=digests[1:])])
        store.put("c", b"manifest a")
        assert store.stats().stored_bytes == 20 + 104_106
        store.delete("a")
        assert store.locate_contents(digests[0]) is not None  # "c" has the contents of "a".
        store.delete("c")
        assert store.locate_contents(digests[0]) is None
        assert store.locate_contents(digests[2]) is not None
        store.delete("b")
        assert store.stats().stored_bytes == 0
        assert not any(path.is_file() for path in (store.path / "blobs").rglob("*"))
        check_space(store)

    @pytest.mark.parametrize("size_bytes", [10, 4096, 100_000])
    def test_contents_outlive_their_old_name_within_a_commit(
        self, store: DiskBackend, size_bytes: int
    ) -> None:
        old, new = content(size_bytes, 1), content(size_bytes, 2)
        store.put("a", old)
        store.commit(
            [
                Put(None, old),
                Put(None, new),
                Put("a", None, Digest.of(new)),
                Put("b", None, Digest.of(old)),
            ]
        )
        assert (store.get("a"), store.get("b")) == (new, old)
        assert store.stats().stored_bytes == 2 * size_bytes

    def test_contents_that_are_nowhere_cannot_be_named(self, store: DiskBackend) -> None:
        with pytest.raises(MissingLinkError, match="same commit"):
            store.commit([Put("a", None, Digest.of(b"nowhere"))])
        assert not store.contains("a")

    def test_contents_that_nothing_leads_to_do_not_stay(self, store: DiskBackend) -> None:
        store.commit([Put(None, content(size)) for size in (10, 4096, 100_000)])
        assert store.stats().stored_bytes == 0
        assert not any(path.is_file() for path in (store.path / "blobs").rglob("*"))


class TestSlices:
    @pytest.mark.parametrize("size_bytes", [100, 4096, 300_000])
    def test_are_read_only_if_the_store_lacks_them(
        self, store: DiskBackend, size_bytes: int
    ) -> None:
        data = content(size_bytes)
        asked = 0

        def read() -> Iterator[bytes]:
            nonlocal asked
            asked += 1
            for start in range(0, size_bytes, 1000):
                yield data[start : start + 1000]

        for key in "ab":
            store.commit([Put(key, Slices(size_bytes, read), Digest.of(data))])
            assert store.get(key) == data
        assert asked == 1


class TestNotes:
    def test_come_with_the_entry(self, store: DiskBackend) -> None:
        store.commit([Put("a", b"x", note=b"first"), Put("b", b"x", note=b"second")])
        a, b = store.locate("a"), store.locate("b")
        assert a is not None
        assert b is not None
        assert (a.note, b.note, a.digest == b.digest) == (b"first", b"second", True)
        store.put("a", b"x")
        again = store.locate("a")
        assert again is not None
        assert again.note is None

    def test_damage_is_found(self, store: DiskBackend) -> None:
        store.commit([Put("a", b"x", note=b"first")])
        with sqlite3.connect(store.path / "catalogue.sqlite3") as connection:
            connection.execute("UPDATE entries SET note = CAST('firsT' AS BLOB)")
        connection.close()
        with pytest.raises(CorruptEntryError, match="note"):
            store.locate("a")
