"""The engine of a URL alone: nothing around it, and more patience."""

import pytest

from torchstash.cache import BackendSettingsError, BackendUnreachableError, MemoryBackend
from torchstash.cache.network import Timeouts
from torchstash.cache.opening import open_engine
from torchstash.cache.redis import RedisBackend


def test_it_is_the_engine() -> None:
    assert isinstance(open_engine("memory:"), MemoryBackend)
    engine = open_engine(" redis://127.0.0.1:1/0?prefix=x: ")
    assert isinstance(engine, RedisBackend)
    with pytest.raises(BackendUnreachableError):
        engine.get("key")


def test_it_is_patient_unless_told_otherwise() -> None:
    engine = open_engine("redis://127.0.0.1/0")
    assert isinstance(engine, RedisBackend)
    assert engine._settings["timeouts"] == Timeouts(10, 60, 256 << 10)
    engine = open_engine("redis://127.0.0.1/0?timeout=2s&min_rate=1MiB")
    assert isinstance(engine, RedisBackend)
    assert engine._settings["timeouts"] == Timeouts(10, 2, 1 << 20)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("memory:|memory:", "several"),
        ("memory:?envelope=true", "unknown option 'envelope'"),
        ("redis://host/0?background=true", "unknown option 'background'"),
        ("nonsense:", "unknown scheme"),
        ("redis://host/0?timeout=0s", "time limit of zero"),
    ],
)
def test_what_it_does_not_open(url: str, told: str) -> None:
    with pytest.raises(BackendSettingsError, match=told):
        open_engine(url)
