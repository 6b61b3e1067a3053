"""Redis over TLS which the server itself speaks: who trusts whom, users, clusters, and faults."""

import datetime
import itertools
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest
import trustme
from typing_extensions import override

from torchstash.cache import BackendError, BackendRefusedError, BackendUnreachableError
from torchstash.cache.network import Timeouts, TlsSettings
from torchstash.cache.redis import RedisBackend
from torchstash.proto.cache.v1.cache_sample_pb2 import (
    OUTCOME_FAILED,
    OUTCOME_STORED,
    OUTCOME_TIMED_OUT,
)
from torchstash.tests.cache.backend_contract import BackendContract, content
from torchstash.tests.cache.faults.trial import Trial
from torchstash.tests.cache.network_contract import PATIENT, Connect, NetworkContract
from torchstash.tests.cache.servers.fault_proxy import FaultProxy
from torchstash.tests.cache.servers.redis_tls import RedisTlsServer
from torchstash.tests.cache.servers.valkey import ValkeyServer, valkey_cluster

_PREFIXES = (f"test/{i}/" for i in itertools.count())
_LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True, slots=True)
class Papers:
    """PEM files: two authorities, and certificates with their keys.

    Attributes:
        authority: Whom servers and clients trust.
        server: Of `localhost` and 127.0.0.1.
        client: Of a client.
        elsewhere: Of another host.
        expired: Of `localhost`, no longer good.
        other_authority: Whom nobody trusts.
        stranger: Of `localhost`, by that one.
    """

    authority: Path
    server: Path
    client: Path
    elsewhere: Path
    expired: Path
    other_authority: Path
    stranger: Path


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    folder = tmp_path_factory.mktemp("papers")
    ours, other = trustme.CA(), trustme.CA()
    leaves = {
        "server": ours.issue_cert("localhost", "127.0.0.1"),
        "client": ours.issue_cert("client.example"),
        "elsewhere": ours.issue_cert("elsewhere.example"),
        "expired": ours.issue_cert("localhost", not_before=_LONG_AGO, not_after=_LONG_AGO),
        "stranger": other.issue_cert("localhost", "127.0.0.1"),
    }
    blobs = {name: leaf.private_key_and_cert_chain_pem for name, leaf in leaves.items()}
    blobs |= {"authority": ours.cert_pem, "other_authority": other.cert_pem}
    for name, blob in blobs.items():
        blob.write_to_path(str(folder / f"{name}.pem"))
    return Papers(**{name: folder / f"{name}.pem" for name in blobs})


@pytest.fixture(scope="module")
def mutual(papers: Papers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisTlsServer]:
    """A server that asks for certificates, and lets a user of its own use some keys only."""
    with RedisTlsServer(
        tmp_path_factory.mktemp("mutual"),
        papers.server,
        papers.authority,
        "user default off",
        "user stash on >right ~test/* +@all",
        "user admin on nopass ~* +@all",
    ) as server:
        yield server


def trusting(papers: Papers, certificate: Path | None = None) -> TlsSettings:
    """The settings of a client that trusts our authority."""
    return TlsSettings(str(papers.authority), None if certificate is None else str(certificate))


def user(server: RedisTlsServer, tls: TlsSettings | None, prefix: str = "test/") -> RedisBackend:
    """As the user that may."""
    return RedisBackend(
        "localhost",
        server.port,
        username="stash",
        password="right",
        tls=tls,
        prefix=prefix,
        timeouts=PATIENT,
    )


class TestMutual(BackendContract):
    @pytest.fixture
    @override
    def backend(self, mutual: RedisTlsServer, papers: Papers) -> RedisBackend:
        return user(mutual, trusting(papers, papers.client), next(_PREFIXES))


class TestNetwork(NetworkContract):
    @pytest.fixture
    @override
    def server(self, papers: Papers, tmp_path: Path) -> Iterator[RedisTlsServer]:
        with RedisTlsServer(tmp_path / "server", papers.server, None) as server:
            yield server

    @pytest.fixture
    @override
    def connect(self, papers: Papers) -> Connect:
        def connect(port: int, timeouts: Timeouts = PATIENT) -> RedisBackend:
            return RedisBackend("localhost", port, tls=trusting(papers), timeouts=timeouts)

        return connect


class TestCluster(BackendContract):
    @pytest.fixture(scope="class")
    @classmethod
    def cluster(
        cls, papers: Papers, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[list[ValkeyServer]]:
        def start(folder: Path, *settings: str) -> RedisTlsServer:
            return RedisTlsServer(folder, papers.server, papers.authority, *settings)

        with valkey_cluster(tmp_path_factory.mktemp("cluster"), start) as servers:
            yield servers

    @pytest.fixture
    @override
    def backend(self, cluster: list[ValkeyServer], papers: Papers) -> RedisBackend:
        return RedisBackend(
            "127.0.0.1",
            cluster[0].port,
            tls=trusting(papers, papers.client),
            prefix=next(_PREFIXES),
            timeouts=PATIENT,
        )

    def test_every_server_is_spoken_to_in_tls(
        self, backend: RedisBackend, cluster: list[ValkeyServer]
    ) -> None:
        values = {f"{i}": content(50, i) for i in range(60)}
        backend.put_many(values)
        assert {key: backend.get(key) for key in values} == values
        assert {port for _, port in backend._opened._pools} == {server.port for server in cluster}


class TestRefusals:
    def test_a_client_without_a_certificate_of_its_own(
        self, mutual: RedisTlsServer, papers: Papers
    ) -> None:
        for certificate in (None, papers.stranger):
            backend = user(mutual, trusting(papers, certificate))
            # Whether the server is heard to say why, before it closes, is a matter of chance.
            with pytest.raises((BackendRefusedError, BackendUnreachableError), match="certificate"):
                backend.get("key")
            with pytest.raises((BackendRefusedError, BackendUnreachableError)):
                backend.put("key", content(1 << 20))

    def test_a_certificate_does_not_stand_for_a_password(
        self, mutual: RedisTlsServer, papers: Papers
    ) -> None:
        tls = trusting(papers, papers.client)
        with pytest.raises(BackendRefusedError, match="NOPERM"):
            user(mutual, tls, "foreign/").put("key", b"x")
        backend = RedisBackend("localhost", mutual.port, tls=tls, timeouts=PATIENT)
        with pytest.raises(BackendRefusedError, match="NOAUTH"):
            backend.get("key")

    def test_a_server_that_we_do_not_trust(self, mutual: RedisTlsServer, papers: Papers) -> None:
        tls = TlsSettings(str(papers.other_authority), str(papers.client))
        with pytest.raises(BackendRefusedError, match="CERTIFICATE_VERIFY_FAILED"):
            user(mutual, tls).get("key")

    def test_one_side_without_tls(self, mutual: RedisTlsServer, papers: Papers) -> None:
        with pytest.raises(BackendUnreachableError, match="TLS"):
            user(mutual, None).get("key")
        backend = RedisBackend("localhost", mutual.control_port, tls=trusting(papers))
        with pytest.raises(BackendError, match="TLS"):
            backend.get("key")

    def test_another_server_where_one_breaks_off_before_tls(
        self, mutual: RedisTlsServer, papers: Papers
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as broken:

            def serve() -> None:
                broken.accept()[0].close()

            thread = threading.Thread(target=serve)
            thread.start()
            backend = RedisBackend(
                "localhost",
                broken.getsockname()[1],
                others=[("localhost", mutual.port)],
                username="stash",
                password="right",
                tls=trusting(papers, papers.client),
                prefix="test/others/",
                timeouts=PATIENT,
            )
            backend.put("key", b"x")
            assert backend.get("key") == b"x"
            thread.join()


class TestFaults:
    """A server whose TLS is changed while a cache uses it, through `open_backend`."""

    @pytest.fixture
    def server(self, papers: Papers, tmp_path: Path) -> Iterator[RedisTlsServer]:
        with RedisTlsServer(
            tmp_path / "server", papers.server, None, f"tls-ca-cert-file {papers.authority}"
        ) as server:
            yield server

    @pytest.fixture
    def trial(self, server: RedisTlsServer, papers: Papers) -> Iterator[Trial]:
        options = urlencode({"ca_file": papers.authority})
        trial = Trial(f"rediss://localhost:{server.port}?{options}")
        trial.put_known()
        yield trial
        trial.close()

    @staticmethod
    def _set(server: RedisTlsServer, *settings: object) -> None:
        """Change its settings, and let it close the connections that were made before."""
        assert server.say("CONFIG", "SET", *settings) == "+OK\r\n"
        server.say("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    @pytest.mark.parametrize("name", ["stranger", "elsewhere", "expired"])
    def test_a_certificate_that_does_not_fit(
        self, server: RedisTlsServer, trial: Trial, papers: Papers, name: str
    ) -> None:
        wrong = getattr(papers, name)
        for path, is_right in ((wrong, False), (papers.server, True)):
            self._set(server, "tls-cert-file", path, "tls-key-file", path)
            if not is_right:
                trial.suffer(gets={OUTCOME_FAILED}, puts={OUTCOME_FAILED})
        trial.comes_back()

    def test_a_server_that_comes_to_ask_for_certificates(
        self, server: RedisTlsServer, trial: Trial
    ) -> None:
        self._set(server, "tls-auth-clients", "yes")
        trial.suffer(gets={OUTCOME_FAILED}, puts={OUTCOME_FAILED})
        self._set(server, "tls-auth-clients", "no")
        trial.comes_back()

    def test_a_server_that_comes_to_speak_no_tls(
        self, server: RedisTlsServer, trial: Trial
    ) -> None:
        self._set(server, "tls-port", 0)
        assert server.say("CONFIG", "SET", "port", server.port) == "+OK\r\n"
        server.control_port, before = server.port, server.control_port
        either = {OUTCOME_FAILED, OUTCOME_TIMED_OUT}
        trial.suffer(gets=either, puts=either)
        assert server.say("CONFIG", "SET", "port", before) == "+OK\r\n"
        server.control_port = before
        self._set(server, "tls-port", server.port)
        trial.comes_back()

    def test_flipped_bits(self, server: RedisTlsServer, papers: Papers) -> None:
        with FaultProxy(server.port) as proxy:
            options = urlencode({"ca_file": papers.authority})
            trial = Trial(f"rediss://localhost:{proxy.port}?{options}")
            trial.put_known()
            proxy.corrupts_answers = True
            proxy.cut()
            # The record is refused before there is a value that the envelope could refuse.
            trial.suffer(gets={OUTCOME_FAILED}, puts={OUTCOME_STORED, OUTCOME_FAILED})
            proxy.corrupts_answers = False
            trial.comes_back()
            trial.close()

    def test_it_ends_and_comes_back_empty(self, server: RedisTlsServer, trial: Trial) -> None:
        server.kill()
        trial.suffer(gets={OUTCOME_FAILED}, puts={OUTCOME_FAILED})
        server.start()
        trial.put_known()
