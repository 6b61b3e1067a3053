"""The layout of Bazel's HTTP cache. The server, rclone's WebDAV, keeps files and checks nothing."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from typing_extensions import override

from torchstash.cache import CorruptEntryError
from torchstash.cache.http import BazelHttpBackend, HttpBackend
from torchstash.cache.network import Timeouts
from torchstash.proto.reapi.v2.action_result_pb2 import ActionResult
from torchstash.tests.cache.backend_contract import content
from torchstash.tests.cache.network_contract import PATIENT, Connect, NetworkContract
from torchstash.tests.cache.servers.rclone import RcloneServer


def bazel_server(folder: Path) -> RcloneServer:
    server = RcloneServer(folder, "webdav")
    for name in ("ac", "cas"):
        (server.served / name).mkdir()
    return server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RcloneServer]:
    with bazel_server(tmp_path / "server") as server:
        yield server


@pytest.fixture
def backend(server: RcloneServer) -> BazelHttpBackend:
    return BazelHttpBackend(f"http://127.0.0.1:{server.port}", timeouts=PATIENT)


class TestNetwork(NetworkContract):
    whole_requests = False

    @pytest.fixture
    @override
    def server(self, tmp_path: Path) -> Iterator[RcloneServer]:
        with bazel_server(tmp_path / "server") as server:
            yield server

    @pytest.fixture
    @override
    def connect(self) -> Connect:
        def connect(port: int, timeouts: Timeouts = PATIENT) -> BazelHttpBackend:
            return BazelHttpBackend(f"http://127.0.0.1:{port}", timeouts=timeouts)

        return connect


def url(server: RcloneServer) -> str:
    return f"http://127.0.0.1:{server.port}"


def content_name(size_bytes: int) -> str:
    return f"cas/{hashlib.sha256(content(size_bytes)).hexdigest()}"


def entry(server: RcloneServer, key: str) -> Path:
    return server.served / "ac" / hashlib.sha256(key.encode()).hexdigest()


def test_a_small_value_is_the_standard_output_of_its_result(
    server: RcloneServer, backend: BazelHttpBackend
) -> None:
    backend.put("key", b"value")
    assert ActionResult.FromString(entry(server, "key").read_bytes()).stdout_raw == b"value"
    assert list((server.served / "cas").iterdir()) == []


@pytest.mark.parametrize("size_bytes", [0, 65537, 300_000])
def test_any_other_lies_beside_its_result(
    server: RcloneServer, backend: BazelHttpBackend, size_bytes: int
) -> None:
    value = content(size_bytes)
    backend.put("key", value)
    digest = ActionResult.FromString(entry(server, "key").read_bytes()).stdout_digest
    assert digest.hash == hashlib.sha256(value).hexdigest()
    assert digest.size_bytes == size_bytes
    assert (server.served / "cas" / digest.hash).read_bytes() == value


def test_a_content_that_was_evicted_is_a_miss(
    server: RcloneServer, backend: BazelHttpBackend
) -> None:
    backend.put("key", content(100_000))
    assert HttpBackend(url(server), timeouts=PATIENT)._opened.delete(content_name(100_000))
    assert backend.get("key") is None


@pytest.mark.parametrize("damage", [content(99_999), content(100_000, 1), b""])
def test_other_content_is_not_returned(
    server: RcloneServer, backend: BazelHttpBackend, damage: bytes
) -> None:
    backend.put("key", content(100_000))
    raw = HttpBackend(url(server), timeouts=PATIENT)
    raw._opened.put(content_name(100_000), memoryview(damage))
    with pytest.raises(CorruptEntryError, match="key"):
        backend.get("key")
    backend.put("key", content(100_000))
    assert backend.get("key") == content(100_000)


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\xff\xff\xff",
        ActionResult(exit_code=1).SerializeToString(),
        b"\x32\x07\x0a\x03abc\x10\x05",
        b"\x32\x02\x10\x00",
    ],
)
def test_an_entry_that_is_no_result_of_ours(
    server: RcloneServer, backend: BazelHttpBackend, damage: bytes
) -> None:
    entry(server, "key").write_bytes(damage)
    with pytest.raises(CorruptEntryError, match="ActionResult"):
        backend.get("key")
