"""Every wrapper and chains of them keep the contract of a backend."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from typing_extensions import override

from torchstash.cache import DiskBackend, MemoryBackend, RemoteCacheBackend, open_backend
from torchstash.cache.capabilities import SelfTimed
from torchstash.cache.envelope import Compression, Envelope, SigningKey
from torchstash.cache.network import Timeouts
from torchstash.cache.wrappers import (
    BackgroundPuts,
    Forgiving,
    Guarded,
    NegativeCaching,
    SingleFlight,
    Tiers,
    Wrapper,
)
from torchstash.tests.cache.backend_contract import BackendContract

_KEY = SigningKey("key-1", bytes(range(32)))
# Enough for any machine that tests run on: what these tests wait for always comes.
_PATIENT = Timeouts(60.0, 60.0)


class _SelfTimedMemory(MemoryBackend, SelfTimed):
    """Memory that says it keeps its deadlines."""


class TestWrapper(BackendContract):
    @pytest.fixture
    @override
    def backend(self) -> RemoteCacheBackend[bytes]:
        return Wrapper(MemoryBackend())


class TestEnvelope(BackendContract):
    @pytest.fixture(params=["plain", "raw", "signed"])
    @override
    def backend(self, request: pytest.FixtureRequest) -> RemoteCacheBackend[bytes]:
        match request.param:
            case "plain":
                return Envelope(MemoryBackend())
            case "raw":
                return Envelope(MemoryBackend(), compression=None, namespace="n\u00e9")
        return Envelope(
            MemoryBackend(), compression=Compression(1, 0), signing_keys=[_KEY], namespace="n"
        )


class TestGuarded(BackendContract):
    @pytest.fixture(params=[MemoryBackend, _SelfTimedMemory])
    @override
    def backend(self, request: pytest.FixtureRequest) -> RemoteCacheBackend[bytes]:
        return Guarded(request.param(), timeouts=_PATIENT)


class TestForgiving(BackendContract):
    @pytest.fixture
    @override
    def backend(self) -> RemoteCacheBackend[bytes]:
        return Forgiving(MemoryBackend())


class TestTiers(BackendContract):
    @pytest.fixture
    @override
    def backend(self) -> RemoteCacheBackend[bytes]:
        near = MemoryBackend(max_bytes=100_000)
        return Tiers([("near", near), ("far", MemoryBackend())])


class TestNegativeCaching(BackendContract):
    @pytest.fixture
    @override
    def backend(self) -> RemoteCacheBackend[bytes]:
        return NegativeCaching(MemoryBackend(), life_seconds=1e6)


class TestSingleFlight(BackendContract):
    @pytest.fixture
    @override
    def backend(self) -> RemoteCacheBackend[bytes]:
        return SingleFlight(MemoryBackend())


class TestBackgroundPuts(BackendContract):
    @pytest.fixture
    @override
    def backend(self) -> RemoteCacheBackend[bytes]:
        return BackgroundPuts(MemoryBackend(), max_puts=10_000)


class TestChain(BackendContract):
    """All of them at once, around the disk."""

    @pytest.fixture
    @override
    def backend(self, tmp_path: Path) -> Iterator[RemoteCacheBackend[bytes]]:
        disk = DiskBackend(tmp_path / "store")
        far = Forgiving(
            BackgroundPuts(
                SingleFlight(
                    NegativeCaching(
                        Envelope(Guarded(disk, timeouts=_PATIENT), signing_keys=[_KEY]),
                    )
                ),
                max_puts=10_000,
            )
        )
        chain = Forgiving(Tiers([("near", MemoryBackend(max_bytes=1 << 20)), ("far", far)]))
        yield chain
        chain.close()


class TestOpened(BackendContract):
    """Local tiers by URL."""

    @pytest.fixture
    @override
    def backend(self, tmp_path: Path) -> Iterator[RemoteCacheBackend[bytes]]:
        (tmp_path / "keys").write_text(f"k1 {bytes(32).hex()}\n")
        tiers = open_backend(
            f"memory:?max_bytes=1MiB | file://{tmp_path}/far?signing_keys_file={tmp_path}/keys"
            "&namespace=team&background=true&single_flight=true&negative_life=1h"
        )
        assert isinstance(tiers, Tiers)
        yield tiers
        tiers.close()
