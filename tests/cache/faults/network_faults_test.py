"""Every engine through `open_backend`, while the network between it and its server is bad."""

import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme

from torchstash.proto.cache.v1.cache_sample_pb2 import (
    OUTCOME_FAILED,
    OUTCOME_HIT,
    OUTCOME_REJECTED,
    OUTCOME_STORED,
    OUTCOME_TIMED_OUT,
    Outcome,
)
from torchstash.tests.cache.faults.engines import ENGINES, bare
from torchstash.tests.cache.faults.trial import KEY, Trial
from torchstash.tests.cache.servers.fault_proxy import FaultProxy
from torchstash.tests.cache.servers.local_server import LocalServer

_Change = Callable[[FaultProxy], None]


def _clear(proxy: FaultProxy) -> None:
    proxy.corrupts_answers = False
    proxy.cut_answers_after_bytes = proxy.cut_requests_after_bytes = None
    proxy.drip_seconds = 0.0
    proxy.cut()


def _setting(**attributes: object) -> _Change:
    def change(proxy: FaultProxy) -> None:
        for name, setting in attributes.items():
            setattr(proxy, name, setting)
        proxy.cut()

    return change


@dataclass(frozen=True, slots=True)
class Fault:
    """What the network does, and how operations end while it does.

    Attributes:
        begin: Lets the proxy do it.
        end: Lets it do it no more.
        gets: How gets end.
        puts: How puts end.
    """

    begin: _Change
    end: _Change = _clear
    gets: frozenset[Outcome] = field(default_factory=lambda: frozenset({OUTCOME_FAILED}))
    puts: frozenset[Outcome] = field(default_factory=lambda: frozenset({OUTCOME_FAILED}))


_TIMED_OUT = frozenset({OUTCOME_TIMED_OUT})
_EITHER_PUT = frozenset({OUTCOME_STORED, OUTCOME_FAILED})
_FAULTS = {
    "refused": Fault(FaultProxy.refuse, FaultProxy.listen),
    "accepts and never answers": Fault(
        FaultProxy.fall_silent, FaultProxy.speak, _TIMED_OUT, _TIMED_OUT
    ),
    "answers are killed midway": Fault(_setting(cut_answers_after_bytes=60_000), puts=_EITHER_PUT),
    "requests are killed midway": Fault(
        _setting(cut_requests_after_bytes=60_000), gets=frozenset({OUTCOME_HIT, OUTCOME_FAILED})
    ),
    "slow drip": Fault(_setting(drip_seconds=0.02), gets=_TIMED_OUT, puts=_EITHER_PUT | _TIMED_OUT),
    "flipped bits": Fault(
        _setting(corrupts_answers=True),
        gets=frozenset({OUTCOME_REJECTED, OUTCOME_FAILED}),
        puts=_EITHER_PUT,
    ),
}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, LocalServer]]:
    """A server of each engine, started when it is first asked for."""
    with _Servers(tmp_path_factory.mktemp("servers")) as servers:
        yield servers


class _Servers(dict[str, LocalServer]):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def __missing__(self, name: str) -> LocalServer:
        server = self[name] = ENGINES[name].start(self._folder / name)
        server.start()
        return server

    def __enter__(self) -> "_Servers":
        return self

    def __exit__(self, *_: object) -> None:
        for server in self.values():
            server.kill()


@pytest.mark.parametrize("fault", _FAULTS.values(), ids=_FAULTS.keys())
@pytest.mark.parametrize("name", ENGINES)
def test_a_bad_network(name: str, fault: Fault, servers: dict[str, LocalServer]) -> None:
    with FaultProxy(servers[name].port) as proxy:
        trial = Trial(ENGINES[name].url("127.0.0.1", proxy.port, False))
        trial.put_known()
        fault.begin(proxy)
        trial.suffer(gets=fault.gets, puts=fault.puts)
        fault.end(proxy)
        trial.comes_back()


@pytest.mark.parametrize("name", ENGINES)
def test_wrong_content(name: str, servers: dict[str, LocalServer]) -> None:
    url = ENGINES[name].url("127.0.0.1", servers[name].port, False)
    trial = Trial(url)
    trial.put_known()
    stranger = bare(url)
    for poison in (b"poison", b""):
        stranger.put(KEY, poison)
        trial.suffer(gets={OUTCOME_REJECTED}, puts={OUTCOME_STORED})
    trial.put_known()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def _context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2", "http/1.1"])
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.mark.parametrize("name", ENGINES)
def test_tls_that_does_not_fit(
    name: str, servers: dict[str, LocalServer], authority: trustme.CA, tmp_path: Path
) -> None:
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    right = _context(authority)
    with FaultProxy(servers[name].port, tls=right) as proxy:
        trial = Trial(f"{ENGINES[name].url('localhost', proxy.port, True)}&ca_file={ca_file}")
        trial.put_known()
        for wrong in (_context(trustme.CA()), None):
            proxy.tls = wrong
            proxy.cut()
            # Valkey waits for more of what it takes for a request, and so does its client.
            either = {OUTCOME_FAILED, OUTCOME_TIMED_OUT}
            trial.suffer(gets=either, puts=either)
            proxy.tls = right
            proxy.cut()
            trial.comes_back()


@pytest.mark.parametrize("name", ENGINES)
def test_no_tls_where_there_must_be(
    name: str, servers: dict[str, LocalServer], authority: trustme.CA
) -> None:
    with FaultProxy(servers[name].port, tls=_context(authority)) as proxy:
        trial = Trial(ENGINES[name].url("127.0.0.1", proxy.port, False))
        either = {OUTCOME_FAILED, OUTCOME_TIMED_OUT}
        trial.suffer(gets=either, puts=either)
