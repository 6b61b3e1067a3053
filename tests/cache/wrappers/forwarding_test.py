"""Wrappers can do what the backend inside can do and what they can honour, and cross processes."""

import pickle
from pathlib import Path

import pytest
from typing_extensions import override

from torchstash.cache import (
    BackendSkippedError,
    BackendUnreachableError,
    CacheCount,
    ComputeOnce,
    Containing,
    Deletable,
    DiskBackend,
    InTwoParts,
    Leasable,
    Listable,
    MemoryBackend,
    PutIfAbsent,
    RemoteCacheBackend,
    cache_counters,
    open_backend,
)
from torchstash.cache.envelope import Compression, Envelope, SigningKey
from torchstash.cache.redis import RedisBackend
from torchstash.cache.two_part_backend import TwoPartBackend
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
from torchstash.tests.cache.backend_contract import content
from torchstash.tests.cache.wrappers.scripted_backend import ScriptedBackend

_ALL = (ComputeOnce, Containing, Deletable, Leasable, Listable, PutIfAbsent)
_ENGINE = {Containing, Deletable, Leasable, Listable, PutIfAbsent}


class _Plain(RemoteCacheBackend[bytes]):
    """Gets and puts, and no more."""

    @override
    def _get(self, key: str) -> bytes | None:
        return None

    @override
    def _put(self, key: str, data: bytes) -> None:
        pass


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


class _TwoParts(TwoPartBackend):
    """Keeps what is put, and what it was asked for."""

    def __init__(self) -> None:
        self.kept: tuple[bytes, bytes] | None = None

    @override
    def _get(self, key: str) -> bytes | None:
        return None if self.kept is None else b"".join(self.kept)

    @override
    def _put(self, key: str, data: bytes) -> None:
        self.kept = (b"", data)

    @override
    def _get_parts(self, key: str, head_bytes: int) -> tuple[bytes, bytes] | None:
        if key == "fails":
            raise BackendUnreachableError("gone")
        whole = self._get(key)
        return None if whole is None else (whole[:head_bytes], whole[head_bytes:])

    @override
    def _put_parts(self, key: str, head: bytes, body: bytes | memoryview) -> None:
        assert type(body) is bytes
        self.kept = (head, body)


def test_two_parts_go_past_no_wrapper_that_looks_at_values() -> None:
    for kind in (Wrapper, Forgiving, ReadOnly, NegativeCaching, BackgroundPuts, SingleFlight):
        assert not isinstance(kind(_TwoParts()), InTwoParts), kind
    assert not isinstance(Tiers([("near", _TwoParts()), ("far", _TwoParts())]), InTwoParts)
    assert not isinstance(Guarded(MemoryBackend()), InTwoParts)


def test_two_parts_go_through_a_guard_uncopied_and_counted() -> None:
    cache_counters.clear()
    inner = _TwoParts()
    guarded = Guarded(inner)
    assert isinstance(guarded, InTwoParts)
    assert guarded.get_parts("key", 1) is None
    body = b"b" * 100
    guarded.put_parts("key", b"h", body)
    assert inner.kept is not None
    assert inner.kept[1] is body
    assert guarded.get_parts("key", 1) == (b"h", body)
    with pytest.raises(BackendUnreachableError):
        guarded.get_parts("fails", 1)
    guarded.put_parts("key", b"", memoryview(bytearray(body)))
    counts = cache_counters.snapshot()
    assert counts["backend:Guarded"] == counts["backend:_TwoParts"]
    assert counts["backend:Guarded"] == CacheCount(hit=1, miss=1, put=2, exception=1)


@pytest.mark.parametrize("signing_keys", [(), (SigningKey("key", bytes(32)),)])
def test_an_envelope_adds_no_copy_where_values_go_in_two_parts(
    signing_keys: tuple[SigningKey, ...],
) -> None:
    inner = _TwoParts()
    envelope = Envelope(inner, compression=None, signing_keys=signing_keys)
    value = content(100_000)
    envelope.put("key", value)
    assert inner.kept is not None
    assert inner.kept[1] is value
    assert envelope.get("key") == value
    # Whoever signs with another key, or with none, is read all the same.
    for other in ((), (SigningKey("a-longer-name", bytes(32)),)):
        Envelope(inner, signing_keys=(*other, *signing_keys)).put("key", value)
        found = Envelope(inner, signing_keys=(*signing_keys, *other)).get("key")
        assert found == value
    inner.kept = (b"", content(100_000, 1))
    assert envelope.get("key") is None


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
        @override
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
