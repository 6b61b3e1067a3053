"""Locks that a fork never leaves locked in the child.

A fork copies a lock that another thread holds, but not that thread: the child would wait for
ever, over data that are half changed. So all of these locks are taken before a fork and freed
after it, in parent and child. They are leaves: no code may take a second one, or fork, while
it holds one.
"""

import os
import threading
import weakref

# A fork out of a signal handler may come while its own thread holds a lock: then go on.
_FORK_WAIT_SECONDS = 1.0


class _Registry:
    def __init__(self) -> None:
        self._locks: weakref.WeakSet[threading.Lock] = weakref.WeakSet()
        self._guard = threading.Lock()
        self._held: list[threading.Lock] = []
        os.register_at_fork(
            before=self._before, after_in_parent=self._after, after_in_child=self._after
        )

    def add(self, lock: threading.Lock) -> None:
        with self._guard:
            self._locks.add(lock)

    def _before(self) -> None:
        self._guard.acquire()
        self._held = [k for k in list(self._locks) if k.acquire(timeout=_FORK_WAIT_SECONDS)]

    def _after(self) -> None:
        held, self._held = self._held, []
        for lock in held:
            lock.release()
        self._guard.release()


_REGISTRY = _Registry()


def fork_safe_lock() -> threading.Lock:
    """A new lock, which a fork waits for and hands over unlocked."""
    lock = threading.Lock()
    _REGISTRY.add(lock)
    return lock
