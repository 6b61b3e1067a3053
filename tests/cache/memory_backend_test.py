import pytest
from typing_extensions import override

from torchstash.cache import MemoryBackend
from torchstash.tests.cache.backend_contract import BackendContract


class TestMemoryBackend(BackendContract):
    @pytest.fixture
    @override
    def backend(self) -> MemoryBackend:
        return MemoryBackend()


class TestMemoryBackendWithCap(BackendContract):
    @pytest.fixture
    @override
    def backend(self) -> MemoryBackend:
        return MemoryBackend(max_bytes=64 << 20)


def test_least_recently_used_goes_first() -> None:
    backend = MemoryBackend(max_bytes=30)
    for name in "abc":
        backend.put(name, bytes(10))
    assert backend.get("a") is not None
    backend.put("d", bytes(10))
    assert list(backend.keys()) == ["a", "c", "d"]
    assert backend.stored_bytes == 30


def test_a_value_beyond_the_cap_replaces_the_old_one_by_nothing() -> None:
    backend = MemoryBackend(max_bytes=10)
    backend.put("key", b"old")
    backend.put("other", b"kept")
    backend.put("key", bytes(11))
    assert backend.get("key") is None
    assert backend.get("other") == b"kept"
    assert backend.stored_bytes == 4


def test_without_a_cap_nothing_is_evicted() -> None:
    backend = MemoryBackend()
    for i in range(1000):
        backend.put(str(i), bytes(1000))
    assert backend.stored_bytes == 1_000_000
    assert len(list(backend.keys())) == 1000
