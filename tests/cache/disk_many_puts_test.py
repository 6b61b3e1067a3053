"""Commits of many puts, whose rows are held back: they end as if each put had come by itself."""

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from torchstash.cache import Digest, DiskBackend, MissingLinkError, Put
from torchstash.cache.disk import DiskMaintenance
from torchstash.cache.disk.held_rows import ROWS_AT_ONCE

MANY = 3 * ROWS_AT_ONCE + 5


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DiskBackend]:
    with DiskBackend(tmp_path / "store") as backend:
        yield backend


def contents(seed: int) -> bytes:
    """Of all kinds: in the catalogue, in the packed file, in a file of its own."""
    sizes = (0, 1, 1024, 1025, 4000, 64 << 10, (64 << 10) + 1)
    return random.Random(seed).randbytes(sizes[seed % len(sizes)])


def require_sound(store: DiskBackend) -> None:
    with DiskMaintenance(store.path) as maintenance:
        assert [*maintenance.audit(), *maintenance.check_contents()] == []


def filler(beginning: str) -> list[Put]:
    """So many puts of new small contents that rows are held."""
    return [Put(f"{beginning}/{i}", f"{beginning} {i}".encode()) for i in range(MANY)]


@pytest.mark.parametrize("seed", range(12))
def test_random_commits_end_like_puts_one_by_one(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    expected: dict[str, tuple[bytes, bytes | None]] = {}
    with DiskBackend(tmp_path / "store") as store:
        for _ in range(4):
            puts = []
            for _ in range(rng.choice([1, ROWS_AT_ONCE - 1, ROWS_AT_ONCE, MANY])):
                key = f"{rng.randrange(MANY)}"
                data = contents(rng.randrange(MANY))
                note = rng.choice([None, b"", b"a note", data[:20]])
                puts.append(Put(key, data, Digest.of(data), note))
                expected[key] = data, note
            with store.batch() as batch:
                for put in puts:
                    batch.add(put)
                if rng.random() < 0.3:
                    batch.drop_if_kept()
            require_sound(store)
            for key, (data, note) in expected.items():
                blob = store.locate(key)
                assert blob is not None
                assert (blob.digest, blob.note) == (Digest.of(data), note)
                assert store.get(key) == data
        assert sorted(store.keys()) == sorted(expected)


def test_contents_that_lose_their_last_name_to_a_put_of_the_same_commit(store: DiskBackend) -> None:
    """What another put of the commit names may not go with the name that is replaced."""
    old = [contents(i) for i in range(MANY)]
    for data in old:
        store.put(f"from/{old.index(data)}", data)
    puts = [Put(f"from/{i}", b"new") for i in range(MANY)]
    puts += [Put(f"to/{i}", None, Digest.of(data)) for i, data in enumerate(old)]
    for order in (puts, puts[::-1]):
        store.commit(order)
        for i, data in enumerate(old):
            assert store.get(f"from/{i}") == b"new"
            assert store.get(f"to/{i}") == data
        require_sound(store)


def test_names_change_places(store: DiskBackend) -> None:
    store.commit(Put(f"{i}", contents(i)) for i in range(MANY))
    store.commit(Put(f"{i}", contents(MANY - 1 - i)) for i in range(MANY))
    assert [store.get(f"{i}") for i in range(MANY)] == [contents(MANY - 1 - i) for i in range(MANY)]
    require_sound(store)


@pytest.mark.parametrize("first_is_small", [True, False])
def test_of_puts_with_one_key_the_last_stays(store: DiskBackend, first_is_small: bool) -> None:
    small, large = b"small", bytes(100_000)
    first, last = (small, large) if first_is_small else (large, small)
    store.commit([Put("k", first), *filler("a"), Put("k", last), *filler("b")])
    assert store.get("k") == last
    store.commit([Put("l", b"1"), *filler("c"), Put("l", b"2"), Put("l", b"1"), Put("l", b"3")])
    assert store.get("l") == b"3"
    require_sound(store)


def test_equal_contents_under_many_names(store: DiskBackend) -> None:
    store.commit(Put(f"{i}", contents(i % 9)) for i in range(MANY))
    assert len(list(store.path.glob("blobs/*/*"))) == 1
    require_sound(store)
    for i in range(MANY):
        store.delete(f"{i}")
    assert store.stats().stored_bytes == 0
    require_sound(store)


def test_a_manifest_over_what_the_commit_brings(store: DiskBackend) -> None:
    children = [contents(i) for i in range(MANY)]
    digests = [Digest.of(data) for data in children]
    left_out = digests[2]
    wanted = [digest for digest in digests if digest != left_out]
    with store.batch() as batch:
        for data, digest in zip(children, digests, strict=True):
            batch.add(Put(None, data, digest))
        batch.add(Put("manifest", b"of all", links=wanted))
    require_sound(store)
    assert store.locate_contents(left_out) is None
    assert None not in store.locate_all_contents(wanted)
    linked = {blob.digest for blob in store.locate_linked(Digest.of(b"of all"))}
    assert linked == set(wanted)
    store.delete("manifest")
    assert store.stats().stored_bytes == 0
    assert store.locate_linked(Digest.of(b"of all")) == []


def test_a_commit_that_fails_leaves_nothing(store: DiskBackend) -> None:
    store.commit(filler("a"))
    before = store.stats()
    lacking = Put("z", None, Digest.of(b"nowhere"))
    with pytest.raises(MissingLinkError):
        store.commit([*filler("b"), Put("a/0", b"other"), lacking])
    assert store.stats() == before
    assert store.get("a/0") == b"a 0"
    require_sound(store)


def test_a_cache_evicts_what_was_put_first(tmp_path: Path) -> None:
    with DiskBackend(tmp_path / "cache", max_bytes=50_000) as store:
        for turn in range(5):
            store.commit(
                Put(f"{turn}/{i}", random.Random(f"{turn} {i}").randbytes(1000))
                for i in range(MANY)
            )
        kept = [int(key.partition("/")[2]) for key in store.keys("")]
        assert store.stats().stored_bytes <= 50_000
        assert min(kept) > MANY // 3
        assert {key.partition("/")[0] for key in store.keys("")} == {"4"}
        require_sound(store)


def test_numbers_of_contents_never_run_out_unnoticed(store: DiskBackend) -> None:
    store.put("last", b"x")
    catalogue = store.path / "catalogue.sqlite3"
    with sqlite3.connect(catalogue) as connection:
        connection.execute("UPDATE blobs SET id = 9223372036854775807")
        connection.execute("UPDATE entries SET blob_id = 9223372036854775807")
    connection.close()
    store.commit(filler("a"))
    assert store.get("a/3") == b"a 3"
    assert store.get("last") == b"x"
