"""Bazel's remote caches, against a server of others: BuildGrid."""

import resource
from collections.abc import Iterator

import pytest
from typing_extensions import override

from torchstash.cache import BackendError, CorruptEntryError
from torchstash.cache.network import Timeouts
from torchstash.cache.reapi import ReapiBackend
from torchstash.proto.reapi.v2.digest_pb2 import DIGEST_FUNCTION_SHA256
from torchstash.tests.cache.backend_contract import BackendContract, content
from torchstash.tests.cache.network_contract import PATIENT, Connect, NetworkContract
from torchstash.tests.cache.servers.buildgrid import BuildGridServer


@pytest.fixture(scope="module")
def buildgrid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BuildGridServer]:
    """One for all tests: it takes seconds to start."""
    with BuildGridServer(tmp_path_factory.mktemp("buildgrid")) as server:
        yield server


@pytest.fixture
def empty(buildgrid: BuildGridServer) -> Iterator[ReapiBackend]:
    """Over a server that has nothing."""
    buildgrid.lose_contents()
    with ReapiBackend("127.0.0.1", buildgrid.port, timeouts=PATIENT) as backend:
        yield backend


@pytest.fixture
def backend(empty: ReapiBackend) -> ReapiBackend:
    """The same, for the tests that are in no suite."""
    return empty


class TestBuildGrid(BackendContract):
    @pytest.fixture
    @override
    def backend(self, empty: ReapiBackend) -> ReapiBackend:
        return empty


class TestNetwork(NetworkContract):
    forks = False

    @pytest.fixture
    @override
    def server(self, buildgrid: BuildGridServer) -> BuildGridServer:
        return buildgrid

    @pytest.fixture
    @override
    def connect(self) -> Connect:
        def connect(port: int, timeouts: Timeouts = PATIENT) -> ReapiBackend:
            return ReapiBackend("127.0.0.1", port, timeouts=timeouts)

        return connect


class TestAnswers:
    def test_what_is_agreed_on(self, backend: ReapiBackend) -> None:
        backend.put("key", b"x")
        agreed = backend._opened._agreed
        assert agreed is not None
        assert agreed.hashing.number == DIGEST_FUNCTION_SHA256
        assert 0 < agreed.batch_max_bytes <= 4 << 20
        assert agreed.may_update

    def test_a_result_whose_content_is_gone_is_a_miss(
        self, backend: ReapiBackend, buildgrid: BuildGridServer
    ) -> None:
        for key, size_bytes in (("small", 1000), ("large", 100_000), ("streamed", 9 << 20)):
            backend.put(key, content(size_bytes))
            assert backend.contains(key)
        buildgrid.lose_contents(larger_than_bytes=50_000)
        assert backend.get("small") == content(1000)
        assert not backend.contains("large")
        assert backend.get_many(["small", "large", "streamed"]) == {"small": content(1000)}
        backend.put("large", content(100_000))
        assert backend.get("large") == content(100_000)

    def test_content_that_changed_on_its_disk_is_no_value(
        self, backend: ReapiBackend, buildgrid: BuildGridServer
    ) -> None:
        for size_bytes in (100_000, 9 << 20):
            backend.put("key", content(size_bytes))
            (blob,) = buildgrid.blobs(size_bytes)
            blob.write_bytes(content(size_bytes, 1))
            with pytest.raises(CorruptEntryError):
                backend.get("key")

    def test_a_full_disk(self, backend: ReapiBackend, buildgrid: BuildGridServer) -> None:
        backend.put("key", content(100_000))
        kind = resource.RLIMIT_FSIZE
        before = resource.prlimit(buildgrid.pid, kind, (50_000, resource.RLIM_INFINITY))
        try:
            for size_bytes in (100_000, 9 << 20):
                # It says INTERNAL, and what the system said.
                with pytest.raises(BackendError, match=r"File too large.*log"):
                    backend.put("key", content(size_bytes, 1))
            assert backend.get("key") == content(100_000)
        finally:
            resource.prlimit(buildgrid.pid, kind, before)
        backend.put("key", content(100_000, 1))
        assert backend.get("key") == content(100_000, 1)

    def test_an_instance_that_it_does_not_have(self, buildgrid: BuildGridServer) -> None:
        with (
            ReapiBackend(
                "127.0.0.1", buildgrid.port, instance_name="other", timeouts=PATIENT
            ) as backend,
            pytest.raises(BackendError, match="other"),
        ):
            backend.put("key", b"x")
