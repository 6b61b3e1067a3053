"""Bazel's remote caches, against a server that holds its clients to the letter of the API."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from typing_extensions import override

from torchstash.cache import (
    BackendClosedError,
    BackendForkedError,
    BackendProtocolError,
    BackendReadOnlyError,
    BackendRefusedError,
    BackendSettingsError,
    BackendTimeoutError,
)
from torchstash.cache.network import Timeouts, TlsSettings
from torchstash.cache.reapi import ReapiBackend
from torchstash.proto.reapi.v2.digest_pb2 import (
    DIGEST_FUNCTION_BLAKE3,
    DIGEST_FUNCTION_SHA256,
    DIGEST_FUNCTION_SHA512,
)
from torchstash.tests.cache.backend_contract import BackendContract, content
from torchstash.tests.cache.child_process import run_in_child
from torchstash.tests.cache.network_contract import PATIENT, Connect, NetworkContract
from torchstash.tests.cache.servers.fault_proxy import FaultProxy
from torchstash.tests.cache.servers.local_server import LocalServer
from torchstash.tests.cache.servers.reapi import StrictReapiServer


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StrictReapiServer]:
    """Offers BLAKE3 and SHA-256, and takes small batches only."""
    options = ("--function=9", "--function=1", "--batch-max-bytes=100000")
    with StrictReapiServer(tmp_path_factory.mktemp("strict"), *options) as server:
        yield server


class TestStrict(BackendContract):
    @pytest.fixture
    @override
    def backend(
        self, strict: StrictReapiServer, request: pytest.FixtureRequest
    ) -> Iterator[ReapiBackend]:
        instance_name = request.node.name.partition("[")[0]
        with ReapiBackend(
            "127.0.0.1", strict.port, instance_name=instance_name, timeouts=PATIENT
        ) as backend:
            yield backend


class TestNetwork(NetworkContract):
    forks = False

    @pytest.fixture
    @override
    def server(self, tmp_path: Path) -> Iterator[LocalServer]:
        with StrictReapiServer(tmp_path / "server") as server:
            yield server

    @pytest.fixture
    @override
    def connect(self) -> Connect:
        def connect(port: int, timeouts: Timeouts = PATIENT) -> ReapiBackend:
            return ReapiBackend("127.0.0.1", port, timeouts=timeouts)

        return connect


def functions(*numbers: int) -> list[str]:
    return [f"--function={number}" for number in numbers]


class TestAgreement:
    @pytest.mark.parametrize(
        ("offered", "chosen"),
        [
            ([DIGEST_FUNCTION_SHA256], DIGEST_FUNCTION_SHA256),
            ([DIGEST_FUNCTION_SHA512], DIGEST_FUNCTION_SHA512),
            ([2, DIGEST_FUNCTION_SHA512, DIGEST_FUNCTION_SHA256], DIGEST_FUNCTION_SHA256),
            ([DIGEST_FUNCTION_SHA256, DIGEST_FUNCTION_BLAKE3], DIGEST_FUNCTION_BLAKE3),
        ],
    )
    def test_the_best_function_of_those_offered(
        self, tmp_path: Path, offered: list[int], chosen: int
    ) -> None:
        with (
            StrictReapiServer(tmp_path / "server", *functions(*offered)) as server,
            ReapiBackend("127.0.0.1", server.port, timeouts=PATIENT) as backend,
        ):
            for size_bytes in (0, 10, 100_000, 9 << 20):
                backend.put("key", content(size_bytes))
                assert backend.get("key") == content(size_bytes)
            agreed = backend._opened._agreed
            assert agreed is not None
            assert agreed.hashing.number == chosen

    def test_no_function_that_we_know(self, tmp_path: Path) -> None:
        with (
            StrictReapiServer(tmp_path / "server", *functions(2, 7)) as server,
            ReapiBackend("127.0.0.1", server.port, timeouts=PATIENT) as backend,
            pytest.raises(BackendProtocolError, match=r"\[2, 7\]"),
        ):
            backend.get("key")

    def test_another_version(self, tmp_path: Path) -> None:
        with (
            StrictReapiServer(tmp_path / "server", *functions(1), "--major=3") as server,
            ReapiBackend("127.0.0.1", server.port, timeouts=PATIENT) as backend,
            pytest.raises(BackendProtocolError, match="3 to 3"),
        ):
            backend.get("key")

    def test_a_server_that_cannot_be_asked(self, tmp_path: Path) -> None:
        with (
            StrictReapiServer(tmp_path / "server", *functions(1), "--major=1") as server,
            ReapiBackend("127.0.0.1", server.port, timeouts=PATIENT) as backend,
        ):
            backend.put("key", content(100_000))
            assert backend.get("key") == content(100_000)

    def test_a_server_that_takes_no_results(self, tmp_path: Path) -> None:
        with (
            StrictReapiServer(tmp_path / "server", *functions(1), "--read-only") as server,
            ReapiBackend("127.0.0.1", server.port, timeouts=PATIENT) as backend,
        ):
            assert backend.get("key") is None
            with pytest.raises(BackendReadOnlyError, match="UpdateActionResult"):
                backend.put("key", b"x")


class TestRefusals:
    def test_wrong_tokens(self, tmp_path: Path) -> None:
        with StrictReapiServer(tmp_path / "server", *functions(1), "--token=right") as server:
            for token in ("right", "not-it", None):
                with ReapiBackend(
                    "127.0.0.1", server.port, bearer_token=token, timeouts=PATIENT
                ) as backend:
                    if token == "right":
                        backend.put("key", b"x")
                        assert backend.get("key") == b"x"
                        continue
                    with pytest.raises(BackendRefusedError, match="UNAUTHENTICATED") as caught:
                        backend.get("key")
                    assert "not-it" not in str(caught.value)
                    with pytest.raises(BackendRefusedError):
                        backend.put("key", content(100_000))

    def test_closed(self, strict: StrictReapiServer) -> None:
        backend = ReapiBackend("127.0.0.1", strict.port, timeouts=PATIENT)
        backend.put("key", b"x")
        backend.close()
        backend.close()
        with pytest.raises(BackendClosedError):
            backend.get("key")

    def test_a_child_of_a_process_that_used_grpc_is_told(self, strict: StrictReapiServer) -> None:
        with ReapiBackend("127.0.0.1", strict.port, timeouts=PATIENT) as backend:
            backend.put("key", b"x")

            def work() -> None:
                with pytest.raises(BackendForkedError, match="spawn"):
                    backend.get("key")

            run_in_child(work)
            assert backend.get("key") == b"x"


class TestTls:
    @pytest.fixture(scope="class")
    @classmethod
    def authority(cls) -> trustme.CA:
        return trustme.CA()

    @pytest.fixture
    def secure(self, strict: StrictReapiServer, authority: trustme.CA) -> Iterator[FaultProxy]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["h2"])
        authority.issue_cert("localhost").configure_cert(context)
        with FaultProxy(strict.port, tls=context) as proxy:
            yield proxy

    def test_round_trip(self, secure: FaultProxy, authority: trustme.CA, tmp_path: Path) -> None:
        ca_file = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(str(ca_file))
        with ReapiBackend(
            "localhost", secure.port, tls=TlsSettings(str(ca_file)), timeouts=PATIENT
        ) as backend:
            backend.put("tls", content(1 << 20))
            assert backend.get("tls") == content(1 << 20)

    def test_a_stranger_is_not_trusted(self, secure: FaultProxy, tmp_path: Path) -> None:
        ca_file = tmp_path / "other.pem"
        trustme.CA().cert_pem.write_to_path(str(ca_file))
        with (
            ReapiBackend(
                "localhost", secure.port, tls=TlsSettings(str(ca_file)), timeouts=PATIENT
            ) as backend,
            pytest.raises((BackendRefusedError, BackendTimeoutError)),
        ):
            backend.get("key")

    def test_trust_cannot_be_switched_off(self) -> None:
        with pytest.raises(BackendSettingsError, match="ca_file"):
            ReapiBackend("localhost", 1, tls=TlsSettings(verify=False))
