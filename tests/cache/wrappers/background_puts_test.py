import gc
import threading
import weakref

import pytest

from torchstash.cache import (
    BackendClosedError,
    MemorySink,
    RemoteCache,
    RemoteCachePassthroughSerde,
)
from torchstash.cache.wrappers import BackgroundPuts
from torchstash.proto.cache.v1 import cache_sample_pb2 as pb
from torchstash.tests.cache.child_process import run_in_child, run_python
from torchstash.tests.cache.wrappers.scripted_backend import ScriptedBackend


def _hanging() -> ScriptedBackend:
    inner = ScriptedBackend()
    inner.hangs = True
    return inner


def test_a_put_returns_before_it_is_written_and_is_found_meanwhile() -> None:
    inner = _hanging()
    backend = BackgroundPuts(inner)
    backend.put("a", b"1")
    assert inner.entered.acquire(timeout=60)  # Being written.
    backend.put("b", bytearray(b"2"))  # type: ignore[arg-type]
    assert backend.get("a") == b"1"
    assert backend.get_many(["a", "b"]) == {"a": b"1", "b": b"2"}
    assert not backend.flush(0.0)
    inner.release.set()
    assert backend.flush(60)
    assert threading.get_ident() not in inner.threads
    assert inner.get("a") == b"1"
    assert inner.get("b") == b"2"


def test_a_later_value_takes_the_place_of_one_that_waits() -> None:
    inner = _hanging()
    backend = BackgroundPuts(inner)
    backend.put("first", b"")
    assert inner.entered.acquire(timeout=60)
    for i in range(10):
        backend.put("key", b"%d" % i)
    inner.release.set()
    assert backend.flush(60)
    assert inner.calls == [("put", "first"), ("put", "key")]
    assert inner.get("key") == b"9"


def test_beyond_its_bounds_puts_are_dropped_and_counted() -> None:
    inner, sink = _hanging(), MemorySink()
    backend = BackgroundPuts(inner, max_puts=2, max_bytes=10)
    cache: RemoteCache[bytes] = RemoteCache(backend, RemoteCachePassthroughSerde(), sink=sink)
    cache.put("writing", b"")
    assert inner.entered.acquire(timeout=60)
    cache.put("large", bytes(11))
    cache.put("a", bytes(5))
    cache.put("b", bytes(5))
    cache.put("c", b"")
    assert backend.dropped == 2
    outcomes = [sample.outcome for sample in sink.samples]
    stored, skipped = pb.OUTCOME_STORED, pb.OUTCOME_SKIPPED
    assert outcomes == [stored, skipped, stored, stored, skipped]
    assert sink.samples[2].attributes["put"] == "queued"
    assert "full" in sink.samples[1].fail_reason
    inner.release.set()
    assert backend.flush(60)
    assert inner.get("large") is None


def test_a_failing_put_does_not_stop_the_thread() -> None:
    inner = ScriptedBackend()
    backend = BackgroundPuts(inner)
    inner.error = RuntimeError("on fire")
    backend.put("a", b"1")
    assert backend.flush(60)
    inner.error = None
    backend.put("b", b"2")
    assert backend.flush(60)
    assert inner.get("a") is None
    assert inner.get("b") == b"2"


def test_close_waits_and_then_takes_nothing_more() -> None:
    inner = ScriptedBackend()
    backend = BackgroundPuts(inner)
    backend.put("a", b"1")
    backend.close()
    assert inner.get("a") == b"1"
    with pytest.raises(BackendClosedError):
        backend.put("b", b"2")


def test_close_gives_up_on_a_backend_that_hangs() -> None:
    inner = _hanging()
    backend = BackgroundPuts(inner, exit_seconds=0.0)
    backend.put("a", b"1")
    assert inner.entered.acquire(timeout=60)
    backend.put("b", b"2")
    backend.close()
    assert backend.dropped == 1
    inner.release.set()


def test_a_forked_child_leaves_the_queue_to_its_parent() -> None:
    inner = _hanging()
    backend = BackgroundPuts(inner)
    backend.put("a", b"1")
    assert inner.entered.acquire(timeout=60)

    def in_child() -> None:
        inner.hangs = False
        assert backend.flush(0.0)
        backend.put("b", b"2")
        assert backend.flush(60)
        assert inner.calls[1:] == [("put", "b")]

    run_in_child(in_child)
    inner.release.set()
    assert backend.flush(60)


def test_the_end_of_the_interpreter_waits_for_what_was_put() -> None:
    printed = run_python(
        "from torchstash.cache import MemoryBackend\n"
        "from torchstash.cache.wrappers import BackgroundPuts\n"
        "class Printing(MemoryBackend):\n"
        "    def _put(self, key, data):\n"
        "        print(key, flush=True)\n"
        "backend = BackgroundPuts(Printing())\n"
        "for i in range(100):\n"
        "    backend.put(str(i), b'')\n"
    )
    assert printed.split() == [str(i) for i in range(100)]


def test_the_end_of_the_interpreter_does_not_wait_for_ever() -> None:
    run_python(
        "import threading\n"
        "from torchstash.cache import MemoryBackend\n"
        "from torchstash.cache.wrappers import BackgroundPuts\n"
        "class Hanging(MemoryBackend):\n"
        "    def _put(self, key, data):\n"
        "        threading.Event().wait()\n"
        "backend = BackgroundPuts(Hanging(), exit_seconds=0.01)\n"
        "backend.put('a', b'')\n"
    )


def test_a_backend_that_nobody_has_goes_away() -> None:
    backend = BackgroundPuts(ScriptedBackend())
    backend.put("a", b"1")
    assert backend.flush(60)
    gone = threading.Event()
    weakref.finalize(backend, gone.set)
    del backend
    gc.collect()
    assert gone.wait(60)
