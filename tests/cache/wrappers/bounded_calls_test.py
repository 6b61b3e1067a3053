import operator
import threading
from functools import partial

import pytest

from torchstash.cache import (
    BackendBusyError,
    BackendTimeoutError,
    MemorySink,
    default_sink,
    sampling_to,
)
from torchstash.cache.wrappers.bounded_calls import BoundedCalls
from torchstash.tests.cache.child_process import run_in_child, run_python

_LONG = 60.0


def test_results_and_exceptions_come_back() -> None:
    calls = BoundedCalls()
    assert calls.run(lambda: 7, _LONG, "x") == 7
    assert calls.run(lambda: None, _LONG, "x") is None
    with pytest.raises(KeyError, match="k"):
        calls.run(partial(operator.getitem, {}, "k"), _LONG, "x")


def test_one_thread_does_it_all_and_sees_the_context() -> None:
    calls = BoundedCalls()
    threads = {calls.run(threading.get_ident, _LONG, "x") for _ in range(50)}
    assert threads.isdisjoint({threading.get_ident()})
    assert len(threads) <= 2
    sink = MemorySink()
    with sampling_to(sink):
        assert calls.run(default_sink, _LONG, "x") is sink
    assert calls.run(default_sink, _LONG, "x") is None


def test_a_hanging_call_is_given_up_and_its_thread_comes_back() -> None:
    calls = BoundedCalls(max_threads=1)
    hang = threading.Event()
    with pytest.raises(BackendTimeoutError, match=r"a get did not end within 0.00 s"):
        calls.run(lambda: hang.wait(_LONG), 0.0, "a get")
    assert calls.abandoned == 1
    with pytest.raises(BackendBusyError, match="1 calls to that backend run or hang"):
        calls.run(lambda: 7, 0.0, "a get")
    hang.set()
    assert calls.run(lambda: 7, _LONG, "a get") == 7


def test_more_calls_than_threads_wait_their_turn() -> None:
    calls = BoundedCalls(max_threads=2)
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(calls.run(threading.get_ident, _LONG, "x")))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20
    assert len(set(found)) <= 2


def test_a_forked_child_has_threads_of_its_own() -> None:
    calls = BoundedCalls(max_threads=1)
    hang = threading.Event()
    with pytest.raises(BackendTimeoutError):
        calls.run(lambda: hang.wait(_LONG), 0.0, "x")

    def in_child() -> None:
        assert calls.run(lambda: 7, _LONG, "x") == 7

    run_in_child(in_child)
    hang.set()


def test_a_hanging_call_does_not_keep_the_interpreter() -> None:
    printed = run_python(
        "import threading\n"
        "from torchstash.cache import BackendTimeoutError\n"
        "from torchstash.cache.wrappers.bounded_calls import BoundedCalls\n"
        "try:\n"
        "    BoundedCalls().run(threading.Event().wait, 0.0, 'x')\n"
        "except BackendTimeoutError:\n"
        "    print('given up')\n"
    )
    assert printed == "given up\n"
