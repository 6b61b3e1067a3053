"""Single flight with leases: one computes, the others wait for a bounded time."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typing_extensions import override

from torchstash.cache import (
    BackendSettingsError,
    BackendUnreachableError,
    DiskBackend,
    MemoryBackend,
    MemorySink,
    RemoteCache,
    RemoteCachePassthroughSerde,
    open_backend,
)
from torchstash.cache.wrappers import Forgiving, SingleFlight, Wrapper
from torchstash.tests.cache.child_process import end_child, run_in_child, start_child
from torchstash.tests.cache.wrappers.scripted_backend import Clock


class World:
    """Several processes' single flights over one memory; waiting moves their clock."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.memory = MemoryBackend(clock=self.clock)
        self.waited_seconds = 0.0
        self.meanwhile: Callable[[], object] = lambda: None

    def process(self, lease: float = 30.0, wait: float | None = None) -> SingleFlight:
        return SingleFlight(
            self.memory,
            lease_seconds=lease,
            wait_seconds=wait,
            clock=self.clock,
            pause=self._pause,
        )

    def _pause(self, seconds: float) -> None:
        self.waited_seconds += seconds
        self.clock.now += seconds
        self.meanwhile()


def test_the_others_wait_for_the_value() -> None:
    world = World()
    one, other = world.process(), world.process()
    assert one.get("key") is None

    def put_later() -> None:
        if world.waited_seconds > 1.0:
            one.put("key", b"x")

    world.meanwhile = put_later
    assert other.get("key") == b"x"
    assert 1.0 < world.waited_seconds < 1.5
    # Nothing is held any more.
    assert world.memory.acquire_lease("key", b"somebody", 1.0)


def test_nobody_waits_longer_than_told() -> None:
    world = World()
    assert world.process().get("key") is None
    assert world.process(wait=2.0).get("key") is None
    assert world.waited_seconds == pytest.approx(2.0)


def test_a_holder_that_died_lets_others_wait_until_its_lease_runs_out() -> None:
    world = World()
    assert world.process(lease=5.0).get("key") is None
    other = world.process(wait=100.0)
    assert other.get("key") is None
    assert 5.0 <= world.waited_seconds < 5.5
    # Now it is that one who computes.
    assert not world.memory.acquire_lease("key", b"third", 1.0)


def test_who_computes_may_ask_again() -> None:
    world = World()
    one = world.process()
    assert one.get("key") is None
    assert one.get("key") is None
    assert world.waited_seconds == 0.0


def test_a_compute_that_raises_lets_the_next_one_go_on() -> None:
    world = World()
    one: RemoteCache[bytes] = RemoteCache(
        Wrapper(Forgiving(world.process())), RemoteCachePassthroughSerde()
    )
    other: RemoteCache[bytes] = RemoteCache(world.process(), RemoteCachePassthroughSerde())

    def fail() -> bytes:
        raise RuntimeError("out of luck")

    with pytest.raises(RuntimeError, match="luck"):
        one.get_or_compute("key", fail)
    assert other.get_or_compute("key", lambda: b"x") == b"x"
    assert world.waited_seconds == 0.0
    assert one.get_or_compute("key", fail) == b"x"
    with pytest.raises(ValueError, match="None"):
        one.get_or_compute("none", lambda: None)  # type: ignore[arg-type, return-value]


def test_leases_that_cannot_be_had_are_gone_without() -> None:
    class Broken(MemoryBackend):
        @override
        def acquire_lease(self, key: str, holder: bytes, life_seconds: float) -> bool:
            raise BackendUnreachableError("gone")

    sink = MemorySink()
    backend = SingleFlight(Broken(), lease_seconds=30.0)
    cache: RemoteCache[bytes] = RemoteCache(backend, RemoteCachePassthroughSerde(), sink=sink)
    assert cache.get_or_compute("key", lambda: b"x") == b"x"
    assert sink.samples[0].attributes["fault:lease"] == "gone"


def test_samples_tell() -> None:
    world, sink = World(), MemorySink()
    for _ in range(2):
        backend = world.process(wait=1.0)
        cache: RemoteCache[bytes] = RemoteCache(backend, RemoteCachePassthroughSerde(), sink=sink)
        cache.get("key")
    assert [dict(sample.attributes) for sample in sink.samples] == [
        {"lease": "held"},
        {"lease": "given_up"},
    ]


def test_threads_of_one_process_compute_once() -> None:
    backend = SingleFlight(MemoryBackend(), lease_seconds=60.0)
    cache: RemoteCache[bytes] = RemoteCache(backend, RemoteCachePassthroughSerde())
    computed: list[int] = []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()

        def compute() -> bytes:
            computed.append(threading.get_ident())
            return b"x"

        assert cache.get_or_compute("key", compute) == b"x"

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(computed) == 1


def test_an_engine_without_leases_is_refused() -> None:
    class Plain(Wrapper):
        honours = frozenset()

    with pytest.raises(BackendSettingsError, match="Plain"):
        SingleFlight(Plain(MemoryBackend()), lease_seconds=1.0)
    with pytest.raises(BackendSettingsError, match="keeps none"):
        open_backend("http://127.0.0.1:1?lease=10s")
    with pytest.raises(BackendSettingsError, match="lease=60s"):
        open_backend("memory:?lease_wait=10s")


_URL = "file:{}?lease=60s&negative_life=5s&envelope=true"


def _cache(folder: Path, options: str = "") -> RemoteCache[bytes]:
    return RemoteCache(open_backend(_URL.format(folder) + options), RemoteCachePassthroughSerde())


def test_processes_compute_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    reader, writer = os.pipe()

    def work() -> None:
        cache = _cache(tmp_path / "store")
        os.close(writer)
        os.read(reader, 1)  # Until all are there.

        def compute() -> bytes:
            with log.open("a") as file:
                file.write("computed\n")
            time.sleep(0.05)  # So long that the others would have begun.
            return b"x"

        assert cache.get_or_compute("key", compute) == b"x"

    DiskBackend(tmp_path / "store").close()
    children = [start_child(work) for _ in range(5)]
    os.close(writer)
    for child in children:
        end_child(child)
    os.close(reader)
    assert log.read_text() == "computed\n"


def test_a_holder_that_is_killed_is_waited_for_no_longer_than_its_lease(tmp_path: Path) -> None:
    reader, writer = os.pipe()

    def hold() -> None:
        cache = _cache(tmp_path / "store", "&lease_wait=60s")
        assert cache.get("key") is None
        os.write(writer, b"x")
        signal.pause()

    pid, report = start_child(hold)
    os.read(reader, 1)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    for end in (reader, writer, report):
        os.close(end)

    def work() -> None:
        folder = tmp_path / "store"
        url = f"file:{folder}?lease=60s&lease_wait=200ms"
        cache: RemoteCache[bytes] = RemoteCache(open_backend(url), RemoteCachePassthroughSerde())
        assert cache.get_or_compute("key", lambda: b"x") == b"x"

    run_in_child(work)
