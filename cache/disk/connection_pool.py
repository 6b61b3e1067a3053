"""SQLite connections of one process, handed to one operation at a time.

A pool, not one per thread: a thread that ends leaves nothing open. Before a fork every
connection is closed, once the operations that run have ended, and the operations that come
wait: SQLite keeps its file locks per process, so that connections, or even SQLite's own notes of
them, must not cross a fork ("How To Corrupt An SQLite Database File", section 2.6). Parent and
child open new ones when they need them.
"""

import os
import sqlite3
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable

from torchstash.cache.errors import BackendClosedError, BackendForkedError

# Operations are short, but one may wait for another process.
_FORK_WAIT_SECONDS = 10.0
_FORK_POLL_SECONDS = 0.0002


class ConnectionPool:
    """Opens connections with `connect`, as many as operations run at once.

    Raises (from `acquire`):
        BackendClosedError: `close` was called.
        BackendForkedError: An operation was running while this process was forked off.
    """

    def __init__(self, name: str, connect: Callable[[], sqlite3.Connection]) -> None:
        self._name = name
        self._connect = connect
        self._idle: deque[sqlite3.Connection] = deque()
        self._opened = 0
        self._opened_lock = threading.Lock()
        # Held by whoever opens a connection, and by a fork.
        self._gate = threading.Lock()
        self._forking = False
        self._closed = False
        self._pid = os.getpid()
        _POOLS.add(self)

    def acquire(self) -> sqlite3.Connection:
        """A connection for one operation of one thread. Give it back with `release`."""
        if not self._forking and self._pid == os.getpid():
            try:
                return self._idle.pop()
            except IndexError:
                pass
        with self._gate:
            if self._closed:
                raise BackendClosedError(f"the store at {self._name} was closed; open it again")
            if self._pid != os.getpid() or _POOLS.is_unusable(self._name):
                raise BackendForkedError(
                    f"this process was forked in the middle of an operation on the store at "
                    f"{self._name}, so it cannot use it; fork between operations"
                )
            connection = self._connect()
            with self._opened_lock:
                self._opened += 1
            return connection

    def release(self, connection: sqlite3.Connection) -> None:
        """Take a connection back. One whose transaction did not end is closed."""
        if connection.in_transaction:
            self._close(connection)
            return
        self._idle.append(connection)
        if self._closed:
            self.close_idle()

    def lend(self) -> "_Lent":
        """`acquire` for a `with` block, and `release`."""
        return _Lent(self)

    def close(self) -> None:
        """Close every connection: the idle now, the others when they come back."""
        self._closed = True
        if self._pid == os.getpid():
            self.close_idle()

    def close_idle(self) -> None:
        """Close the connections that no operation is using."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return
            self._close(connection)

    def _close(self, connection: sqlite3.Connection) -> None:
        connection.close()
        with self._opened_lock:
            self._opened -= 1

    def before_fork(self) -> None:
        """Let nothing begin, wait until nothing runs, close everything."""
        self._gate.acquire()
        self._forking = True
        deadline = time.monotonic() + _FORK_WAIT_SECONDS
        self.close_idle()
        while self._opened and time.monotonic() < deadline:
            time.sleep(_FORK_POLL_SECONDS)
            self.close_idle()
        self._opened_lock.acquire()

    def after_fork(self, *, in_child: bool) -> None:
        """Let operations begin again; in the child only if none crossed the fork."""
        if in_child and not self._opened:
            self._pid = os.getpid()
        elif in_child:
            _POOLS.add_unusable(self._name)
        self._opened_lock.release()
        self._forking = False
        self._gate.release()


class _Lent:
    """A connection for the length of a block. A class, not a generator: each look-up has one."""

    __slots__ = ("_connection", "_pool")

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    def __enter__(self) -> sqlite3.Connection:
        self._connection = self._pool.acquire()
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._pool.release(self._connection)


class _Pools:
    """Every pool of this process, for the sake of forks."""

    def __init__(self) -> None:
        self._pools: weakref.WeakSet[ConnectionPool] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._held: list[ConnectionPool] = []
        self._unusable: set[str] = set()
        os.register_at_fork(
            before=self._before,
            after_in_parent=lambda: self._after(in_child=False),
            after_in_child=lambda: self._after(in_child=True),
        )

    def add_unusable(self, name: str) -> None:
        """Nobody in this process may open that store: SQLite's notes of it are wrong here."""
        self._unusable.add(name)

    def is_unusable(self, name: str) -> bool:
        """Whether `add_unusable` was called for that store, here or in a parent."""
        return name in self._unusable

    def add(self, pool: ConnectionPool) -> None:
        with self._lock:
            self._pools.add(pool)

    def _before(self) -> None:
        self._lock.acquire()
        self._held = list(self._pools)
        for pool in self._held:
            pool.before_fork()

    def _after(self, *, in_child: bool) -> None:
        held, self._held = self._held, []
        for pool in held:
            pool.after_fork(in_child=in_child)
        self._lock.release()


_POOLS = _Pools()
