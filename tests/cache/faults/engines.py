"""The engines that are put on trial: a real server of each, and the URL that leads to it."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from torchstash.cache import RemoteCacheBackend
from torchstash.cache.opening import SCHEMES
from torchstash.cache.opening.backend_url import parse_backend_url
from torchstash.cache.opening.timeout_options import TIMEOUT_OPTIONS
from torchstash.tests.cache.servers.local_server import LocalServer
from torchstash.tests.cache.servers.rclone import RcloneServer
from torchstash.tests.cache.servers.reapi import StrictReapiServer
from torchstash.tests.cache.servers.valkey import ValkeyServer

ACCESS_KEY = "stash-key"
SECRET_KEY = "right"
BUCKET = "stash-test"


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine.

    Attributes:
        start: Makes its server, not yet running, in a folder.
        url: Of the server that listens on `host` and a port; the last argument says whether TLS.
    """

    start: Callable[[Path], LocalServer]
    url: Callable[[str, int, bool], str]


def bare(url: str) -> RemoteCacheBackend[bytes]:
    """The engine of a URL, with nothing around it: what another program may write."""
    _, parsed = parse_backend_url(url).take(**TIMEOUT_OPTIONS)
    backend: RemoteCacheBackend[bytes] = import_module(
        SCHEMES[parsed.scheme].module
    ).backend_from_url(parsed)
    return backend


def s3_url(host: str, port: int, is_tls: bool, secret: str = SECRET_KEY) -> str:
    """Of a bucket on a server of one's own."""
    endpoint = f"{'https' if is_tls else 'http'}://{host}:{port}"
    return (
        f"s3://{BUCKET}/prefix?endpoint={endpoint}&region=us-east-1"
        f"&access_key_id={ACCESS_KEY}&secret_access_key={secret}"
    )


def _s3_server(folder: Path) -> LocalServer:
    server = RcloneServer(folder, "s3", f"--auth-key={ACCESS_KEY},{SECRET_KEY}")
    (server.served / BUCKET).mkdir()
    return server


def _bazel_server(folder: Path) -> LocalServer:
    server = RcloneServer(folder, "webdav")
    for name in ("ac", "cas"):
        (server.served / name).mkdir()
    return server


ENGINES = {
    "redis": Engine(
        ValkeyServer,
        lambda host, port, is_tls: f"redis{'s' * is_tls}://{host}:{port}?",
    ),
    "s3": Engine(_s3_server, s3_url),
    "http": Engine(
        lambda folder: RcloneServer(folder, "webdav"),
        lambda host, port, is_tls: f"http{'s' * is_tls}://{host}:{port}?",
    ),
    "bazel_http": Engine(
        _bazel_server,
        lambda host, port, is_tls: f"http{'s' * is_tls}://{host}:{port}?layout=bazel",
    ),
    "reapi": Engine(
        StrictReapiServer,
        lambda host, port, is_tls: f"grpc{'s' * is_tls}://{host}:{port}?",
    ),
}
