"""Wrappers can do what the backend inside can do and what they can honour, and cross processes."""

import pickle
from pathlib import Path

import pytest

from torchstash.cache import (
    BackendSkippedError,
    BackendUnreachableError,
    ComputeOnce,
    Containing,
    Deletable,
    DiskBackend,
    Leasable,
    Listable,
    MemoryBackend,
    PutIfAbsent,
    RemoteCacheBackend,
    open_backend,
)
from torchstash.cache.envelope import Compression, Envelope, SigningKey
from torchstash.cache.redis import RedisBackend
from torchstash.cache.wrappers import (
    BackgroundPuts,
    Forgiving,
    Guarded,
    NegativeCaching,
    ReadOnly,
    SingleFlight,
    Tiers,
    Wrapper,
)
from torchstash.tests.cache.wrappers.scripted_backend import ScriptedBackend

_ALL = (ComputeOnce, Containing, Deletable, Leasable, Listable, PutIfAbsent)
_ENGINE = {Containing, Deletable, Leasable, Listable, PutIfAbsent}


class _Plain(RemoteCacheBackend[bytes]):
    """Gets and puts, and no more."""


def _able(backend: object) -> set[type]:
    return {each for each in _ALL if isinstance(backend, each)}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Wrapper, _ENGINE),
        (Envelope, _ENGINE),
        (Guarded, _ENGINE - {Listable}),
        (Forgiving, _ENGINE - {Listable, Leasable}),
        (ReadOnly, {Containing, Listable}),
        (NegativeCaching, _ENGINE),
        (BackgroundPuts, {Containing}),
        (SingleFlight, _ENGINE | {ComputeOnce}),
    ],
)
def test_what_a_wrapper_can_do(kind: type[Wrapper], expected: set[type]) -> None:
    backend = kind(MemoryBackend())
    assert _able(backend) == expected
    assert isinstance(backend, kind)
    assert type(backend).__name__ == kind.__name__
    assert _able(kind(_Plain())) == expected - _ENGINE


def test_what_tiers_can_do() -> None:
    near, far = MemoryBackend(), MemoryBackend()
    tiers = Tiers([("near", near), ("far", far)])
    assert _able(tiers) == _ENGINE
    assert _able(Tiers([("near", _Plain()), ("far", far)])) == {Leasable, Listable, PutIfAbsent}
    assert _able(Tiers([("near", near), ("far", _Plain())])) == set()
    flight = SingleFlight(MemoryBackend())
    assert ComputeOnce in _able(Tiers([("near", near), ("far", flight)]))

    assert isinstance(tiers, Deletable)
    assert isinstance(tiers, Containing)
    assert isinstance(tiers, PutIfAbsent)
    assert isinstance(tiers, Listable)
    assert tiers.put_if_absent("key", b"x")
    assert not tiers.put_if_absent("key", b"y")
    assert near.get("key") == b"x"
    far.put("far", b"z")
    assert tiers.contains("far")
    assert list(tiers.keys()) == ["far", "key"]
    assert tiers.delete("key")
    assert not tiers.contains("key")
    assert not tiers.delete("key")


def test_a_value_that_is_put_if_absent_lies_in_an_envelope() -> None:
    inner = MemoryBackend()
    backend = Envelope(inner)
    assert isinstance(backend, PutIfAbsent)
    assert backend.put_if_absent("key", b"x")
    assert inner.get("key") != b"x"
    assert backend.get("key") == b"x"


def test_what_waits_to_be_put_is_there() -> None:
    inner = ScriptedBackend()
    inner.hangs = True
    backend = BackgroundPuts(inner)
    assert isinstance(backend, Containing)
    backend.put("key", b"x")
    assert backend.contains("key")
    assert not backend.contains("other")
    inner.release.set()


def test_faults_are_guarded_and_forgiven() -> None:
    class Failing(MemoryBackend):
        def contains(self, key: str) -> bool:
            raise BackendUnreachableError("gone")

        delete = contains

    guarded = Guarded(Failing())
    assert isinstance(guarded, Deletable)
    for _ in range(3):
        with pytest.raises(BackendUnreachableError):
            guarded.delete("key")
    with pytest.raises(BackendSkippedError):
        guarded.delete("key")
    forgiving = Forgiving(Failing())
    assert isinstance(forgiving, Deletable)
    assert isinstance(forgiving, Containing)
    assert not forgiving.delete("key")
    assert not forgiving.contains("key")
    assert forgiving.failures == 2


def test_chains_cross_process_borders_where_their_parts_do(tmp_path: Path) -> None:
    disk = DiskBackend(tmp_path / "store")
    chain = Forgiving(
        BackgroundPuts(
            SingleFlight(
                NegativeCaching(
                    Envelope(
                        Guarded(disk),
                        namespace="n",
                        compression=Compression(1, 0),
                        signing_keys=[SigningKey("id", bytes(32))],
                    ),
                    life_seconds=3.0,
                ),
                lease_seconds=5.0,
            ),
            exit_seconds=1.0,
        )
    )
    chain.put("key", b"x")
    chain.close()
    again = pickle.loads(pickle.dumps(chain))
    assert again.get("key") == b"x"
    assert type(again) is type(chain)
    tiers = pickle.loads(pickle.dumps(Tiers([("far", Wrapper(DiskBackend(tmp_path / "store")))])))
    assert [name for name, _ in tiers.tiers] == ["far"]
    remote = pickle.loads(pickle.dumps(open_backend("redis://host?single_flight=true&ttl=1h")))
    while isinstance(remote, Wrapper):
        remote = remote.inner
    assert isinstance(remote, RedisBackend)


def test_what_lies_in_this_process_stays_in_it() -> None:
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(Wrapper(MemoryBackend()))
