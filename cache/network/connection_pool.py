"""Idle connections to one server, kept for the next operation.

There is nothing to lock and nothing to prepare for a fork: the idle connections lie in a deque,
whose ends are atomic, and each knows the process that made it. A child closes its copies of what it
inherited, which its parent does not notice, and opens its own.
"""

import os
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class Connection(Protocol):
    """What a pool keeps."""

    @property
    def pid(self) -> int:
        """The process that opened it."""

    def close(self) -> None:
        """Close the descriptor, without a word to the server."""


C = TypeVar("C", bound=Connection)


class ConnectionPool(Generic[C]):
    """Hands a connection to one operation at a time, the last used first. Thread-safe.

    Args:
        connect: Opens a new connection; what it raises, `acquire` raises.
        max_idle: So many are kept open at most. There is no limit to those in use.
    """

    def __init__(self, connect: Callable[[], C], *, max_idle: int = 16) -> None:
        self._connect = connect
        self._idle: deque[C] = deque()
        self._max_idle = max_idle

    def acquire(self) -> tuple[C, bool]:
        """A connection, and whether it was used before: then the server may have closed it."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return self._connect(), False
            if connection.pid == os.getpid():
                return connection, True
            connection.close()

    def connect(self) -> C:
        """A new connection, whatever is idle."""
        return self._connect()

    def release(self, connection: C) -> None:
        """Take back a connection that waits for nothing more. Close others instead."""
        if connection.pid != os.getpid() or len(self._idle) >= self._max_idle:
            connection.close()
        else:
            self._idle.append(connection)

    def close_idle(self) -> None:
        """Close what no operation is using: the server is known to have gone."""
        while True:
            try:
                self._idle.pop().close()
            except IndexError:
                return

    def __del__(self) -> None:
        # A backend that is dropped without `close` leaves no descriptors behind.
        self.close_idle()
