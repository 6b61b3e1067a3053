"""Web servers that take PUT: SeaweedFS' filer, which puts whole files, and rclone's WebDAV."""

import itertools
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme
from typing_extensions import override

from torchstash.cache import (
    BackendClosedError,
    BackendError,
    BackendFullError,
    BackendReadOnlyError,
    BackendRefusedError,
    BackendSettingsError,
    BackendUnreachableError,
    RemoteCacheBackend,
)
from torchstash.cache.http import BazelHttpBackend, HttpBackend
from torchstash.cache.network import Timeouts, TlsSettings
from torchstash.tests.cache.backend_contract import BackendContract, content
from torchstash.tests.cache.network_contract import PATIENT, Connect, NetworkContract
from torchstash.tests.cache.servers.fault_proxy import FaultProxy
from torchstash.tests.cache.servers.local_server import LocalServer
from torchstash.tests.cache.servers.rclone import RcloneServer
from torchstash.tests.cache.servers.seaweed import SeaweedServer

_FOLDERS = (f"test/{i}" for i in itertools.count())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RcloneServer]:
    with RcloneServer(tmp_path / "server", "webdav") as server:
        yield server


@pytest.fixture
def backend(server: RcloneServer) -> HttpBackend:
    return HttpBackend(f"http://127.0.0.1:{server.port}", timeouts=PATIENT)


@pytest.fixture(scope="module")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedServer]:
    with SeaweedServer(tmp_path_factory.mktemp("seaweed")) as server:
        yield server


class TestHttpBackend(BackendContract):
    @pytest.fixture
    @override
    def backend(self, seaweed: SeaweedServer) -> HttpBackend:
        url = f"http://127.0.0.1:{seaweed.filer_port}/{next(_FOLDERS)}"
        return HttpBackend(url, timeouts=PATIENT)


class TestBazelHttpBackend(BackendContract):
    @pytest.fixture
    @override
    def backend(self, seaweed: SeaweedServer) -> BazelHttpBackend:
        url = f"http://127.0.0.1:{seaweed.filer_port}/{next(_FOLDERS)}"
        return BazelHttpBackend(url, timeouts=PATIENT)


class TestNetwork(NetworkContract):
    whole_requests = False

    @pytest.fixture
    @override
    def server(self, tmp_path: Path) -> Iterator[LocalServer]:
        with RcloneServer(tmp_path / "server", "webdav") as server:
            yield server

    @pytest.fixture
    @override
    def connect(self) -> Connect:
        def connect(port: int, timeouts: Timeouts = PATIENT) -> HttpBackend:
            return HttpBackend(f"http://127.0.0.1:{port}/", timeouts=timeouts)

        return connect


def test_a_value_is_a_file_below_the_base_url(server: RcloneServer) -> None:
    (server.served / "a folder").mkdir()
    backend = HttpBackend(f"http://127.0.0.1:{server.port}/a%20folder/", timeouts=PATIENT)
    backend.put("dir/key", b"value")
    assert (server.served / "a folder" / "k-dir!2Fkey").read_bytes() == b"value"


class TestRefusals:
    @pytest.fixture
    def guarded(self, tmp_path: Path) -> Iterator[RcloneServer]:
        options = ("--user=stash", "--pass=p@ss")
        with RcloneServer(tmp_path / "guarded", "webdav", *options) as server:
            yield server

    def test_a_user_and_a_password(self, guarded: RcloneServer) -> None:
        good = HttpBackend(f"http://stash:p%40ss@127.0.0.1:{guarded.port}", timeouts=PATIENT)
        good.put("key", b"x")
        assert good.get("key") == b"x"
        for url in (
            f"http://stash:wrong@127.0.0.1:{guarded.port}",
            f"http://127.0.0.1:{guarded.port}",
        ):
            wrong = HttpBackend(url, timeouts=PATIENT)
            for use in (
                lambda wrong=wrong: wrong.get("key"),
                lambda wrong=wrong: wrong.put("key", b"small"),
                lambda wrong=wrong: wrong.put("key", content(4 << 20)),
                lambda wrong=wrong: wrong.delete("key"),
                lambda wrong=wrong: wrong.contains("key"),
            ):
                with pytest.raises(BackendRefusedError, match="credentials") as caught:
                    use()
                assert "wrong" not in str(caught.value)

    def test_a_server_that_is_read_only(self, tmp_path: Path) -> None:
        with RcloneServer(tmp_path / "fixed", "webdav", "--read-only") as server:
            backend = HttpBackend(f"http://127.0.0.1:{server.port}", timeouts=PATIENT)
            with pytest.raises(BackendError, match="PUT"):
                backend.put("key", b"x")
            assert backend.get("key") is None

    @pytest.mark.parametrize(
        ("url", "what"),
        [
            ("ftp://host", "http"),
            ("http://", "host"),
            ("host:80", "http"),
            ("http://host:port", "http"),
            ("http://host/?query", "query"),
            ("http://user:secret@host:99999", "http"),
        ],
    )
    @pytest.mark.parametrize("kind", [HttpBackend, BazelHttpBackend])
    def test_a_url_that_cannot_work(
        self, kind: Callable[[str], RemoteCacheBackend[bytes]], url: str, what: str
    ) -> None:
        with pytest.raises(BackendSettingsError, match=what) as caught:
            kind(url)
        assert "secret" not in str(caught.value)

    def test_closed(self, backend: HttpBackend) -> None:
        backend.put("key", b"x")
        backend.close()
        backend.close()
        with pytest.raises(BackendClosedError):
            backend.get("key")


class _Answering(BaseHTTPRequestHandler):
    """Answers everything with the status that the server is told; keeps what it was sent."""

    protocol_version = "HTTP/1.1"
    status = 500
    authorization: str | None = None

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        type(self).authorization = self.headers.get("Authorization")
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_PUT = _answer  # noqa: N815 - names of the base class

    @override
    def log_message(self, *_: object) -> None:
        pass


class TestAnswers:
    @pytest.fixture
    def handler(self) -> type[_Answering]:
        return type("Handler", (_Answering,), {})

    @pytest.fixture
    def url(self, handler: type[_Answering]) -> Iterator[str]:
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.01,)).start()
            yield f"http://127.0.0.1:{server.server_port}"
            server.shutdown()

    @pytest.mark.parametrize(
        ("status", "error"),
        [
            (301, BackendError),
            (400, BackendError),
            (401, BackendRefusedError),
            (403, BackendRefusedError),
            (405, BackendReadOnlyError),
            (413, BackendFullError),
            (429, BackendUnreachableError),
            (500, BackendUnreachableError),
            (503, BackendUnreachableError),
            (507, BackendFullError),
        ],
    )
    def test_a_status_is_an_error(
        self, url: str, handler: type[_Answering], status: int, error: type[BackendError]
    ) -> None:
        handler.status = status
        with HttpBackend(url, timeouts=PATIENT) as backend:
            with pytest.raises(BackendError, match=str(status)) as caught:
                backend.get("key")
            assert type(caught.value) is error
            with pytest.raises(error, match=str(status)):
                backend.put("key", b"x")

    def test_a_token_is_sent(self, url: str, handler: type[_Answering]) -> None:
        handler.status = 404
        with HttpBackend(url, bearer_token="t0ken", timeouts=PATIENT) as backend:
            assert backend.get("key") is None
        assert handler.authorization == "Bearer t0ken"


class TestTls:
    def test_round_trip(self, server: RcloneServer, tmp_path: Path) -> None:
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        ca_file = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(str(ca_file))
        with FaultProxy(server.port, tls=context) as proxy:
            url = f"https://localhost:{proxy.port}"
            backend = HttpBackend(url, tls=TlsSettings(str(ca_file)), timeouts=PATIENT)
            backend.put("key", content(1 << 20))
            assert backend.get("key") == content(1 << 20)
            with pytest.raises(BackendRefusedError, match="CERTIFICATE_VERIFY_FAILED"):
                HttpBackend(url, timeouts=PATIENT).get("key")
