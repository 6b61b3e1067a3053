"""A socket that gives one exchange one time budget, however many sends and reads it takes."""

import io
import socket
import time

from typing_extensions import Buffer, override

from torchstash.cache.network import Timeouts


class PacedSocket:
    """As much of a socket as `http.client` uses. What it raises is `OSError`.

    The budget is that of `Timeouts`, and grows with the bytes that really moved.
    """

    def __init__(self, connected: socket.socket, timeouts: Timeouts) -> None:
        self._socket = connected
        self._timeouts = timeouts
        self.begin()

    def begin(self) -> None:
        """An exchange begins: its budget is whole."""
        self._started = time.monotonic()
        self._moved_bytes = 0

    def sendall(self, data: Buffer) -> None:
        """Send everything, or raise."""
        self._moved_bytes += memoryview(data).nbytes
        self._await(self._moved_bytes)
        self._socket.sendall(data)

    def recv_into(self, buffer: Buffer) -> int:
        """Receive what comes next; 0 bytes: the other side has ended."""
        self._await(self._moved_bytes)
        count = self._socket.recv_into(buffer)
        self._moved_bytes += count
        return count

    def makefile(self, mode: str) -> io.BufferedReader:
        """A file that reads from the socket, and leaves it open when it is closed."""
        if mode != "rb":
            raise ValueError(f"a paced socket is read as 'rb', not {mode!r}")
        return io.BufferedReader(_Reader(self), 64 << 10)

    def close(self) -> None:
        """Close the descriptor."""
        self._socket.close()

    def _await(self, moved_bytes: int) -> None:
        spent = time.monotonic() - self._started
        left = self._timeouts.for_bytes(moved_bytes) - spent
        if left <= 0:
            raise TimeoutError(f"{moved_bytes} bytes moved in {spent:.2f} s")
        self._socket.settimeout(left)


class _Reader(io.RawIOBase):
    def __init__(self, source: PacedSocket) -> None:
        super().__init__()
        self._source = source

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Buffer) -> int:
        return self._source.recv_into(buffer)
