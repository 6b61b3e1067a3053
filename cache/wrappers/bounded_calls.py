"""Calls that their caller stops waiting for, in threads of a bounded number.

A call that hangs cannot be ended from outside; it is abandoned, and keeps its thread until it
returns. Threads are daemons, so that none of them delays the end of the interpreter. A child made
by fork starts without any.
"""

import os
import queue
import threading
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Generic, TypeVar, cast

from torchstash.cache.errors import BackendBusyError, BackendTimeoutError
from torchstash.cache.fork_safe_lock import fork_safe_lock

T = TypeVar("T")


class _Call(Generic[T]):
    """A piece of work, and what became of it."""

    __slots__ = ("_work", "done", "error", "result")

    def __init__(self, work: Callable[[], T]) -> None:
        self._work: Callable[[], T] = partial(copy_context().run, work)
        self.result: T | None = None
        self.error: BaseException | None = None
        self.done = threading.Lock()
        self.done.acquire()

    def run(self) -> None:
        try:
            self.result = self._work()
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self.error = error
        finally:
            self.done.release()


class BoundedCalls:
    """Runs calls in other threads, each for a bounded time. Thread-safe.

    Args:
        max_threads: Calls that run at once, hanging ones included.
    """

    def __init__(self, max_threads: int = 16) -> None:
        self._max_threads = max_threads
        self._lock = fork_safe_lock()
        self._idle: list[queue.SimpleQueue[_Call[object]]] = []
        self._threads = 0
        self._abandoned = 0
        self._pid = os.getpid()

    @property
    def abandoned(self) -> int:
        """Calls that nobody waited for any longer, since the process began."""
        return self._abandoned

    def run(self, work: Callable[[], T], timeout_seconds: float, doing: str) -> T:
        """What `work` returns or raises, run in a copy of this context.

        Args:
            work: May hang.
            timeout_seconds: How long to wait for it.
            doing: What it does, for messages.

        Raises:
            BackendTimeoutError: It took longer, and goes on unheeded.
            BackendBusyError: All threads are taken by calls that hang.
        """
        call = self.start(work, doing)
        if not call.done.acquire(timeout=max(timeout_seconds, 0.0)):
            with self._lock:
                self._abandoned += 1
            raise BackendTimeoutError(
                f"{doing} did not end within {timeout_seconds:.2f} s and was given up; "
                "is the server overloaded, or the network slow?"
            )
        if call.error is not None:
            raise call.error
        return cast(T, call.result)

    def start(self, work: Callable[[], T], doing: str) -> _Call[T]:
        """Let `work` run, and wait for nothing.

        Raises:
            BackendBusyError: As `run`.
        """
        call = _Call(work)
        self._inbox(doing).put(cast(_Call[object], call))
        return call

    def _inbox(self, doing: str) -> "queue.SimpleQueue[_Call[object]]":
        with self._lock:
            if self._pid != os.getpid():
                self._idle, self._threads, self._pid = [], 0, os.getpid()
            if self._idle:
                return self._idle.pop()
            if self._threads >= self._max_threads:
                raise BackendBusyError(
                    f"{doing} was not begun: {self._threads} calls to that backend run or hang "
                    "already; is its server alive?"
                )
            self._threads += 1
        inbox: queue.SimpleQueue[_Call[object]] = queue.SimpleQueue()
        thread = threading.Thread(
            target=self._work, args=(inbox,), name="torchstash-bounded-call", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:
            with self._lock:
                self._threads -= 1
            raise BackendBusyError(f"{doing} was not begun: no thread could be started") from error
        return inbox

    def _work(self, inbox: "queue.SimpleQueue[_Call[object]]") -> None:
        while True:
            inbox.get().run()
            with self._lock:
                self._idle.append(inbox)
