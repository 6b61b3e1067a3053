"""What every `RemoteCacheBackend[bytes]` promises, as tests.

A test module derives a class from `BackendContract` and gives it a `backend` fixture; tests of
capabilities that the backend does not have are not collected into failures: they say so.
"""

import functools
import hashlib
import threading
import time

import pytest

from torchstash.cache import (
    Containing,
    Deletable,
    InTwoParts,
    InvalidKeyError,
    Leasable,
    Listable,
    ManyAtOnce,
    PutIfAbsent,
    RemoteCacheBackend,
)

KEYS = [
    "",
    "a",
    "A",
    "a/b",
    "a//b",
    "a/",
    "/etc/passwd",
    "../x",
    "./.",
    "..",
    "nul\0inside",
    "nul",
    "new\nline",
    "\u00e9",
    "e\u0301",
    "\u6f22\u5b57",
    "\U0001f600",
    "\uffff",
    "%s{}{0}'\";--",
    "CON",
    "x" * 1024,
    "x" * 1023,
]

SIZES = [0, 1, 1023, 4096, 65535, 65536, 65537, 1 << 20, (5 << 20) + 3]


@functools.lru_cache(maxsize=512)
def content(size_bytes: int, seed: int = 0) -> bytes:
    """Bytes that compress badly and differ by seed."""
    return hashlib.shake_128(f"{seed}".encode()).digest(size_bytes)


class BackendContract:
    """Derive from it, and give a `backend` fixture: a new, empty backend."""

    @pytest.fixture
    def backend(self) -> RemoteCacheBackend[bytes]:
        raise NotImplementedError

    @pytest.mark.parametrize("size_bytes", SIZES)
    def test_returns_what_was_put(
        self, backend: RemoteCacheBackend[bytes], size_bytes: int
    ) -> None:
        value = content(size_bytes)
        backend.put("key", value)
        found = backend.get("key")
        assert type(found) is bytes
        assert found == value

    def test_returns_a_large_value(self, backend: RemoteCacheBackend[bytes]) -> None:
        value = content(1 << 20) * 64
        backend.put("key", value)
        assert backend.get("key") == value

    def test_missing_is_none(self, backend: RemoteCacheBackend[bytes]) -> None:
        assert backend.get("absent") is None

    def test_every_key_is_its_own(self, backend: RemoteCacheBackend[bytes]) -> None:
        for i, key in enumerate(KEYS):
            backend.put(key, b"%d" % i)
        assert [backend.get(key) for key in KEYS] == [b"%d" % i for i in range(len(KEYS))]

    @pytest.mark.parametrize("key", ["\ud800", "a\udcffb"])
    def test_keys_beyond_utf8_are_refused(
        self, backend: RemoteCacheBackend[bytes], key: str
    ) -> None:
        with pytest.raises(InvalidKeyError, match="surrogate"):
            backend.put(key, b"x")
        with pytest.raises(InvalidKeyError, match="surrogate"):
            backend.get(key)

    @pytest.mark.parametrize("falsy", [b"", b"0", b"\0"])
    def test_falsy_values_are_values(
        self, backend: RemoteCacheBackend[bytes], falsy: bytes
    ) -> None:
        backend.put("key", falsy)
        assert backend.get("key") == falsy

    @pytest.mark.parametrize("old_size", [0, 10, 100_000])
    @pytest.mark.parametrize("new_size", [0, 10, 100_000])
    def test_the_last_put_stays(
        self, backend: RemoteCacheBackend[bytes], old_size: int, new_size: int
    ) -> None:
        backend.put("other", content(old_size, 1))
        backend.put("key", content(old_size, 1))
        backend.put("key", content(new_size, 2))
        assert backend.get("key") == content(new_size, 2)
        backend.put("key", content(old_size, 1))
        assert backend.get("key") == content(old_size, 1)
        assert backend.get("other") == content(old_size, 1)

    def test_takes_any_buffer_and_keeps_a_copy(self, backend: RemoteCacheBackend[bytes]) -> None:
        for size_bytes in (3, 70_000):
            buffer = bytearray(content(size_bytes))
            backend.put("key", buffer)  # type: ignore[arg-type]
            backend.put("view", memoryview(buffer))  # type: ignore[arg-type]
            buffer[:] = bytes(size_bytes)
            assert backend.get("key") == content(size_bytes)
            assert backend.get("view") == content(size_bytes)

    def test_threads_see_whole_values(self, backend: RemoteCacheBackend[bytes]) -> None:
        values = {content(size, seed) for seed in range(4) for size in (100, 100_000)}
        wrong: list[object] = []

        def work(mine: list[bytes]) -> None:
            try:
                for i in range(10):
                    for value in mine:
                        backend.put("shared", value)
                        found = backend.get("shared")
                        if found not in values:
                            wrong.append(found)
                        backend.put(f"own/{len(mine[0])}/{i}", value)
            except Exception as error:
                wrong.append(error)

        ordered = sorted(values)
        threads = [
            threading.Thread(target=work, args=(ordered[i:] + ordered[:i],)) for i in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        assert backend.get("shared") in values

    def test_keys_of_every_length_and_byte(self, backend: RemoteCacheBackend[bytes]) -> None:
        # Every byte that UTF-8 text can have, alone and in long keys that differ at their end.
        codes = [*range(0x80), *range(0x80, 0x800, 0x40), 0xFFFD, 0x10FFFF]
        keys = [chr(code) for code in codes]
        keys += [chr(code % 128) * (length - 1) + "~" for code, length in enumerate([2, 255, 1024])]
        for i, key in enumerate(keys):
            backend.put(key, b"%d" % i)
        assert [backend.get(key) for key in keys] == [b"%d" % i for i in range(len(keys))]

    def test_one_of_many_concurrent_puts_stays(self, backend: RemoteCacheBackend[bytes]) -> None:
        values = [content(size, seed) for seed in range(4) for size in (0, 50_000)]
        start = threading.Barrier(len(values))

        def put(value: bytes) -> None:
            start.wait()
            backend.put("shared", value)

        threads = [threading.Thread(target=put, args=(value,)) for value in values]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert backend.get("shared") in values

    def test_many_at_once(self, backend: RemoteCacheBackend[bytes]) -> None:
        if not isinstance(backend, ManyAtOnce):
            pytest.skip("this backend takes one value at a time")
        values = {f"many/{i}": content(i * 37, i) for i in range(100)} | {"": b"", "\u00e9": b"\0"}
        assert backend.get_many([]) == {}
        backend.put_many({})
        assert backend.get_many(values) == {}
        backend.put("many/1", b"old")
        backend.put_many(values)
        assert backend.get_many(["absent", *values, "many/1"]) == values
        assert backend.get_many(iter(["many/2", "absent"])) == {"many/2": values["many/2"]}
        assert {key: backend.get(key) for key in values} == values
        with pytest.raises(InvalidKeyError, match="surrogate"):
            backend.get_many(["a", "\ud800"])
        with pytest.raises(InvalidKeyError, match="surrogate"):
            backend.put_many({"\ud800": b""})

    def test_delete(self, backend: RemoteCacheBackend[bytes]) -> None:
        if not isinstance(backend, Deletable):
            pytest.skip("this backend does not delete")
        for size_bytes in (0, 10, 100_000):
            backend.put("key", content(size_bytes))
            backend.put("twin", content(size_bytes))
            assert backend.delete("key")
            assert not backend.delete("key")
            assert backend.get("key") is None
            assert backend.get("twin") == content(size_bytes)
            backend.put("key", content(size_bytes))
            assert backend.get("key") == content(size_bytes)

    def test_contains(self, backend: RemoteCacheBackend[bytes]) -> None:
        if not isinstance(backend, Containing):
            pytest.skip("this backend cannot be asked for presence")
        assert not backend.contains("key")
        backend.put("key", b"")
        assert backend.contains("key")
        assert not backend.contains("ke")

    def test_keys_are_listed_in_order(self, backend: RemoteCacheBackend[bytes]) -> None:
        if not isinstance(backend, Listable):
            pytest.skip("this backend does not list")
        assert list(backend.keys()) == []
        for key in KEYS:
            backend.put(key, b"x")
        assert list(backend.keys()) == sorted(KEYS, key=str.encode)
        assert list(backend.keys("a/")) == ["a/", "a//b", "a/b"]
        assert list(backend.keys("nul\0")) == ["nul\0inside"]
        assert list(backend.keys("\uffff")) == ["\uffff"]
        assert list(backend.keys("absent")) == []

    def test_many_keys_are_listed(self, backend: RemoteCacheBackend[bytes]) -> None:
        if not isinstance(backend, Listable):
            pytest.skip("this backend does not list")
        names = [f"many/{i:05}" for i in range(1100)]
        values = dict.fromkeys(reversed(names), b"x")
        if isinstance(backend, ManyAtOnce):
            backend.put_many(values)
        else:
            for name, value in values.items():
                backend.put(name, value)
        assert list(backend.keys("many/")) == names

    def test_a_value_in_two_parts(self, backend: RemoteCacheBackend[bytes]) -> None:
        if not isinstance(backend, InTwoParts):
            pytest.skip("this backend takes values whole")
        assert backend.get_parts("key", 72) is None
        for size_bytes in (0, 10, 70_000, 400_000):
            head, body = content(72, 1), content(size_bytes, 2)
            backend.put_parts("key", head, body)
            assert backend.get("key") == head + body
            assert backend.get_parts("key", 72) == (head, body)
            assert backend.get_parts("key", 10) == (head[:10], head[10:] + body)
            assert backend.get_parts("key", 0) == (b"", head + body)
            found = backend.get_parts("key", 80)
            assert found == ((head + body)[:80], (head + body)[80:])
            assert all(type(part) is bytes for part in found)
            backend.put_parts("key", b"", memoryview(bytearray(body)))
            assert backend.get("key") == body

    def test_put_if_absent(self, backend: RemoteCacheBackend[bytes]) -> None:
        if not isinstance(backend, PutIfAbsent):
            pytest.skip("this backend always replaces")
        assert backend.put_if_absent("key", b"first")
        assert not backend.put_if_absent("key", b"second")
        assert backend.get("key") == b"first"

    def test_a_lease_has_one_holder(self, backend: RemoteCacheBackend[bytes]) -> None:
        if not isinstance(backend, Leasable):
            pytest.skip("this backend keeps no leases")
        for key in ("key", "", "nul\0", "\u00e9" * 300):
            assert backend.acquire_lease(key, b"one", 1000.0)
            assert not backend.acquire_lease(key, b"other", 1000.0)
            backend.release_lease(key, b"other")
            assert not backend.acquire_lease(key, b"other", 1000.0)
            backend.release_lease(key, b"one")
            backend.release_lease(key, b"one")
            assert backend.acquire_lease(key, b"other", 1000.0)
            assert backend.get(key) is None
        if isinstance(backend, Listable):
            assert list(backend.keys()) == []
        with pytest.raises(InvalidKeyError, match="surrogate"):
            backend.acquire_lease("\ud800", b"one", 1000.0)

    def test_a_lease_runs_out(self, backend: RemoteCacheBackend[bytes]) -> None:
        if not isinstance(backend, Leasable):
            pytest.skip("this backend keeps no leases")
        assert backend.acquire_lease("key", b"one", 0.05)
        give_up = time.monotonic() + 60
        while not backend.acquire_lease("key", b"other", 1000.0):
            assert time.monotonic() < give_up
            time.sleep(0.01)
        backend.release_lease("key", b"one")
        assert not backend.acquire_lease("key", b"third", 1000.0)

    def test_one_of_many_gets_a_lease(self, backend: RemoteCacheBackend[bytes]) -> None:
        if not isinstance(backend, Leasable):
            pytest.skip("this backend keeps no leases")
        leasable: Leasable = backend
        for life_seconds in (0.001, 1000.0):
            start = threading.Barrier(8)
            given: list[bool] = []

            def acquire(
                i: int,
                start: threading.Barrier = start,
                given: list[bool] = given,
                life_seconds: float = life_seconds,
            ) -> None:
                start.wait()
                given.append(leasable.acquire_lease("key", b"%d" % i, life_seconds))

            threads = [threading.Thread(target=acquire, args=(i,)) for i in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert any(given)
            if life_seconds == 0.001:
                time.sleep(0.002)  # It has run out: the others take it over.
        assert given.count(True) == 1
