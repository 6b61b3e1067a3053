"""The engines whose values lie on servers, by URL. Nothing is connected to here."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import trustme

from torchstash.cache import BackendSettingsError, RemoteCacheBackend
from torchstash.cache.http import BazelHttpBackend, HttpBackend
from torchstash.cache.network import Timeouts, TlsSettings
from torchstash.cache.opening import SCHEMES
from torchstash.cache.opening.backend_url import parse_backend_url
from torchstash.cache.opening.timeout_options import TIMEOUT_OPTIONS


def engine(text: str) -> RemoteCacheBackend[bytes]:
    """The engine of a URL, without what `open_backend` puts around it."""
    url = parse_backend_url(text)
    _, rest = url.take(**TIMEOUT_OPTIONS)
    backend: RemoteCacheBackend[bytes] = import_module(SCHEMES[url.scheme].module).backend_from_url(
        rest
    )
    return backend


def settings(text: str) -> dict[str, Any]:
    found: dict[str, Any] = vars(engine(text))["_settings"]
    return found


@pytest.fixture
def ca_file(tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    return str(path)


@pytest.mark.parametrize("scheme", [name for name in SCHEMES if SCHEMES[name].is_remote])
def test_every_example_opens(scheme: str) -> None:
    assert engine(SCHEMES[scheme].example).engine_name


def test_redis() -> None:
    url = "redis://me:p%40ss@one:7000,two,[::1]:7001/3?prefix=a:&ttl=90m&timeout=2s"
    assert settings(url) == {
        "host": "one",
        "port": 7000,
        "others": (("two", 6379), ("::1", 7001)),
        "db": 3,
        "username": "me",
        "password": "p@ss",
        "tls": None,
        "prefix": "a:",
        "ttl_seconds": 5400.0,
        "timeouts": Timeouts(operation_seconds=2.0),
    }


def test_redis_with_a_password_only() -> None:
    found = settings("redis://:secret@host")
    assert (found["username"], found["password"], found["db"]) == (None, "secret", 0)


def test_redis_over_tls(ca_file: str) -> None:
    found = settings(f"rediss://host?ca_file={ca_file}&verify=false")
    assert found["tls"] == TlsSettings(ca_file, verify=False)
    assert settings("rediss://host")["tls"] == TlsSettings()


def test_http() -> None:
    backend = engine("http://me:p%40ss@[::1]:8080/a%20folder?min_rate=1MiB")
    assert type(backend) is HttpBackend
    assert backend._settings["base_url"] == "http://me:p%40ss@[::1]:8080/a%20folder"
    assert backend._settings["timeouts"] == Timeouts(bytes_per_second=1 << 20)


def test_http_in_bazels_layout(ca_file: str) -> None:
    backend = engine(f"https://host/cache?layout=bazel&bearer_token=t&ca_file={ca_file}")
    assert type(backend) is BazelHttpBackend
    assert backend._settings["bearer_token"] == "t"
    assert backend._settings["tls"] == TlsSettings(ca_file)


def test_bazels_remote_cache(ca_file: str) -> None:
    found = settings("grpc://me:p%40ss@host/main/one?timeout=3s")
    assert (found["host"], found["port"], found["instance_name"]) == ("host", 8980, "main/one")
    assert (found["username"], found["password"], found["tls"]) == ("me", "p@ss", None)
    assert found["timeouts"] == Timeouts(operation_seconds=3.0)
    found = settings(f"grpcs://host?bearer_token=t&ca_file={ca_file}")
    assert (found["port"], found["instance_name"], found["bearer_token"]) == (443, "", "t")
    assert found["tls"] == TlsSettings(ca_file)


def test_object_stores() -> None:
    found = settings("s3://bucket/a/b?endpoint=http://127.0.0.1:9000&skip_signature=true")
    assert found["url"] == "s3://bucket/a/b"
    assert found["options"] == {"endpoint": "http://127.0.0.1:9000", "skip_signature": "true"}
    assert found["allow_http"]
    assert not settings("s3://bucket?endpoint=https://host")["allow_http"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis:", "names no host"),
        ("redis://host/name", "write its number"),
        ("redis://host?ca_file=x", "There are:"),
        ("redis://host?ttl=7", "unit"),
        ("rediss://host?ca_file=/nonexistent/ca.pem", "TLS"),
        ("http://one,two/", "several hosts"),
        ("grpc://one,two", "several hosts"),
        ("grpcs://host?verify=false", "ca_file"),
        ("http://host?layout=maven", "plain, bazel"),
        ("s3://bucket:80/", "server is an option"),
        ("s3:", "names no host"),
        ("az://container?endpoint=https://host", "no object store"),
        ("gs://bucket?endpoint=https://host", "base_url"),
    ],
)
def test_wrong_urls_say_what_is_wrong(url: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(BackendSettingsError, match=said):
        engine(url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://me:hush@host/x",
        "http://me:hush@one,two/",
        "http://host?bearer_token=hush&x=1",
        "s3://bucket?secret_access_key=hush&x=1",
        "az://container?account_key=hush",
    ],
)
def test_no_message_holds_a_secret(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(BackendSettingsError) as caught:
        engine(url)
    assert "hush" not in str(caught.value)
    assert "hush" not in repr(caught.value)
