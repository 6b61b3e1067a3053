"""Calls that their caller stops waiting for, in threads of a bounded number.

A call that hangs cannot be ended from outside; it is abandoned, and keeps its thread until it
returns. Threads are daemons, so that none of them delays the end of the interpreter. A child made
by fork starts without any.
"""

import os
import queue
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Generic, TypeAlias, TypeVar, cast

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

    def run(self, free: "Callable[[_Inbox], None]", inbox: "_Inbox") -> None:
        """Do the work, free the thread that has this inbox, and tell who waits."""
        try:
            self.result = self._work()
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self.error = error
        free(inbox)
        self.done.release()


_Inbox: TypeAlias = "queue.SimpleQueue[_Call[object]]"


class BoundedCalls:
    """Runs calls in other threads, each for a bounded time. Thread-safe.

    Args:
        max_threads: Calls that run at once, hanging ones included. Further ones wait their turn.
    """

    def __init__(self, max_threads: int = 16) -> None:
        self._max_threads = max_threads
        self._lock = fork_safe_lock()
        self._abandoned = 0
        self._begin()

    def _begin(self) -> None:
        """Start without any thread: in a new object, and in a child made by fork."""
        self._idle: list[_Inbox] = []
        self._slots = threading.Semaphore(self._max_threads)
        self._pid = os.getpid()

    @property
    def abandoned(self) -> int:
        """Calls that nobody waited for any longer, since the process began."""
        return self._abandoned

    def run(self, work: Callable[[], T], timeout_seconds: float, doing: str) -> T:
        """What `work` returns or raises, run in a copy of this context.

        Args:
            work: May hang.
            timeout_seconds: How long to wait for it, and for a thread.
            doing: What it does, for messages.

        Raises:
            BackendTimeoutError: It took longer, and goes on unheeded.
            BackendBusyError: No thread became free in time.
        """
        deadline = time.monotonic() + timeout_seconds
        call = self.start(work, doing, wait_seconds=timeout_seconds)
        if not call.done.acquire(timeout=max(deadline - time.monotonic(), 0.0)):
            with self._lock:
                self._abandoned += 1
            raise BackendTimeoutError(
                f"{doing} did not end within {timeout_seconds:.2f} s and was given up; "
                "is the server overloaded, or the network slow?"
            )
        if call.error is not None:
            raise call.error
        return cast(T, call.result)

    def start(self, work: Callable[[], T], doing: str, *, wait_seconds: float = 0.0) -> _Call[T]:
        """Let `work` run, and wait for nothing but a thread.

        Raises:
            BackendBusyError: As `run`.
        """
        with self._lock:
            if self._pid != os.getpid():
                self._begin()
            slots = self._slots
        if not slots.acquire(timeout=max(wait_seconds, 0.0)):
            raise BackendBusyError(
                f"{doing} was not begun within {wait_seconds:.2f} s: {self._max_threads} calls to "
                "that backend run or hang; is its server alive?"
            )
        call = _Call(work)
        try:
            inbox = self._inbox()
        except RuntimeError as error:
            slots.release()
            raise BackendBusyError(f"{doing} was not begun: no thread could be started") from error
        inbox.put(cast(_Call[object], call))
        return call

    def _inbox(self) -> "_Inbox":
        """Of a thread that is free. The caller has a slot, so there is one, or there may be."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        inbox: _Inbox = queue.SimpleQueue()
        threading.Thread(
            target=self._work, args=(inbox,), name="torchstash-bounded-call", daemon=True
        ).start()
        return inbox

    def _work(self, inbox: "_Inbox") -> None:
        while True:
            inbox.get().run(self._free, inbox)

    def _free(self, inbox: "_Inbox") -> None:
        """A call has ended; its caller does not know yet, so that its next one finds the thread."""
        with self._lock:
            self._idle.append(inbox)
        self._slots.release()
