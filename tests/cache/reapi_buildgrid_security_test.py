"""TLS, certificates of clients and tokens of Bazel's remote caches, against BuildGrid's own."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest
import trustme

from torchstash.cache import BackendRefusedError, BackendUnreachableError
from torchstash.cache.network import TlsSettings
from torchstash.cache.reapi import ReapiBackend
from torchstash.proto.cache.v1.cache_sample_pb2 import (
    OUTCOME_FAILED,
    OUTCOME_HIT,
    OUTCOME_STORED,
)
from torchstash.tests.cache.backend_contract import content
from torchstash.tests.cache.faults.trial import Trial
from torchstash.tests.cache.network_contract import PATIENT
from torchstash.tests.cache.servers.buildgrid import BuildGridServer

_SECRET = "a secret that only the one who signs and the server know"
_LONG_AGO, _FAR_OFF = 1, 4_000_000_000


def token(expires: int, secret: str = _SECRET) -> str:
    """A JSON Web Token (RFC 7519), signed with HMAC-SHA-256; `expires` in seconds since 1970."""

    def encoded(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    header, claims = {"alg": "HS256", "typ": "JWT"}, {"exp": expires}
    signed = ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
    return f"{signed}.{encoded(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256))}"


@dataclass(frozen=True, slots=True)
class Guarded:
    """A server that looks at tokens and certificates, and PEM files for its clients."""

    server: BuildGridServer
    ca_file: str
    client_file: str
    stranger_ca_file: str
    stranger_file: str


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("buildgrid")
    ours, clients, stranger = trustme.CA(), trustme.CA(), trustme.CA()
    certificates = {
        "server": ours.issue_cert("localhost", "127.0.0.1"),
        "client": clients.issue_cert("client.example"),
        "stranger": stranger.issue_cert("client.example"),
    }
    for name, certificate in certificates.items():
        certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / f"{name}.pem"))
    for name, authority in {"ours": ours, "clients": clients, "others": stranger}.items():
        authority.cert_pem.write_to_path(str(folder / f"ca_{name}.pem"))
    (folder / "secret").write_text(_SECRET)
    with BuildGridServer(
        folder / "server",
        certificate=folder / "server.pem",
        client_authority=folder / "ca_clients.pem",
        token_secret=folder / "secret",
    ) as server:
        yield Guarded(
            server,
            ca_file=str(folder / "ca_ours.pem"),
            client_file=str(folder / "client.pem"),
            stranger_ca_file=str(folder / "ca_others.pem"),
            stranger_file=str(folder / "stranger.pem"),
        )


def connect(port: int, tls: TlsSettings | None, bearer_token: str | None = None) -> ReapiBackend:
    """A backend with a token that is good."""
    return ReapiBackend(
        "localhost",
        port,
        bearer_token=token(_FAR_OFF) if bearer_token is None else bearer_token,
        tls=tls,
        timeouts=PATIENT,
    )


def test_round_trips(guarded: Guarded) -> None:
    server = guarded.server
    secure = connect(server.secure_port, TlsSettings(guarded.ca_file))
    mutual = connect(server.mutual_port, TlsSettings(guarded.ca_file, guarded.client_file))
    with secure, mutual:
        for size_bytes in (0, 10, 100_000, 9 << 20):
            secure.put("key", content(size_bytes))
            assert secure.get("key") == content(size_bytes)
            assert mutual.get("key") == content(size_bytes)


@pytest.mark.parametrize(
    "bad_token",
    [token(_LONG_AGO), token(_FAR_OFF, "another secret, as long as it has to be"), "unsigned"],
    ids=["expired", "signed by another", "unsigned"],
)
def test_tokens_that_it_does_not_take(guarded: Guarded, bad_token: str) -> None:
    tls = TlsSettings(guarded.ca_file)
    with connect(guarded.server.secure_port, tls, bad_token) as backend:
        with pytest.raises(BackendRefusedError, match="token") as caught:
            backend.get("key")
        assert bad_token not in str(caught.value).replace("token", "")
        with pytest.raises(BackendRefusedError):
            backend.put("key", content(100_000))


def test_who_does_not_trust_whom(guarded: Guarded) -> None:
    server = guarded.server
    for port, tls in (
        (server.secure_port, TlsSettings(guarded.stranger_ca_file)),
        (server.port, TlsSettings(guarded.ca_file)),
    ):
        with connect(port, tls) as backend, pytest.raises(BackendRefusedError, match="TLS"):
            backend.get("key")
    # A server closes, and says no more, where it does not know us or is not spoken to in TLS.
    for port, maybe_tls in (
        (server.mutual_port, TlsSettings(guarded.ca_file, guarded.stranger_file)),
        (server.mutual_port, TlsSettings(guarded.ca_file)),
        (server.secure_port, None),
    ):
        with (
            connect(port, maybe_tls) as backend,
            pytest.raises((BackendRefusedError, BackendUnreachableError), match="certificate"),
        ):
            backend.get("key")


def test_a_token_that_expires_through_open_backend(guarded: Guarded) -> None:
    def url(expires: int) -> str:
        options = {
            "ca_file": guarded.ca_file,
            "certificate_file": guarded.client_file,
            "bearer_token": token(expires),
        }
        return f"grpcs://localhost:{guarded.server.mutual_port}?{urlencode(options)}"

    good = Trial(url(_FAR_OFF))
    good.put_known()
    expired = Trial(url(_LONG_AGO))
    expired.suffer(gets={OUTCOME_FAILED}, puts={OUTCOME_FAILED})
    good.suffer(gets={OUTCOME_HIT}, puts={OUTCOME_STORED})
