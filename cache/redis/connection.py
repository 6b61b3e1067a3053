"""One connection to a server that speaks RESP: requests out, replies in, each exchange in time."""

import os
import socket
import ssl
import time
from collections.abc import Sequence

import hiredis

from torchstash.cache.buffers import BytesToFill
from torchstash.cache.errors import (
    BackendProtocolError,
    BackendRefusedError,
    BackendTimeoutError,
    BackendUnreachableError,
)
from torchstash.cache.network import Timeouts
from torchstash.cache.redis.request import Argument, Request

# One read of the socket. Pages that no reply has filled cost nothing.
_BUFFER_BYTES = 256 << 10
# A send that took longer is subtracted from the time that the answer has.
_NOTED_SECONDS = 0.005


class ReplyError(Exception):
    """An error that the server replied; `str` gives its text, which begins with a code."""


# From this size a value that comes alone is received where it stays, past the parser.
_DIRECT_BYTES = 128 << 10
_VALUE = ord("$")
_CR = b"\r"
_FEW = 1 + len(str(_DIRECT_BYTES))
_END = b"\r\n"
# `$`, the digits of any size, and the end of the line.
_HEADER_MAX_BYTES = 24


class _NeedsMore:
    """What hiredis gives while a reply is incomplete."""


class RespConnection:
    """Sends requests and reads as many replies. For one thread at a time.

    After any exception the connection is out of step with its server: close it.

    Args:
        connected: The socket, which this closes.
        place: Host and port, for messages.
        timeouts: What each exchange is given.
    """

    __slots__ = ("_buffer", "_place", "_reader", "_socket", "_timeouts", "pid")

    def __init__(self, connected: socket.socket, place: str, timeouts: Timeouts) -> None:
        self.pid = os.getpid()
        self._socket = connected
        self._place = place
        self._timeouts = timeouts
        self._reader = hiredis.Reader(
            protocolError=BackendProtocolError,
            replyError=ReplyError,
            notEnoughData=_NeedsMore,
        )
        self._buffer = bytearray(_BUFFER_BYTES)
        connected.settimeout(timeouts.operation_seconds)

    def exchange(self, request: Request) -> list[object]:
        """Send a request and read its replies; an error that was replied is one of them.

        Raises:
            BackendTimeoutError: They did not come in time.
            BackendUnreachableError: The server broke off.
            BackendRefusedError: It did, and told that it does not trust us.
            BackendProtocolError: What came is no RESP.
        """
        started = time.monotonic()
        try:
            self._send(request.parts)
            return self._receive(started, request.replies, request.head_bytes)
        except TimeoutError as error:
            raise BackendTimeoutError(
                f"the Redis server at {self._place} did not answer within "
                f"{time.monotonic() - started:.2f} s; is it overloaded, or the network slow?"
            ) from error
        except OSError as error:
            # TLS 1.3: only now it may tell that it does not trust us. Mostly it just closes.
            is_refusal = isinstance(error, ssl.SSLError) and "CERTIFICATE" in str(error).upper()
            kind = BackendRefusedError if is_refusal else BackendUnreachableError
            is_tls = isinstance(self._socket, ssl.SSLSocket)
            advice = (
                "does it trust our certificate?" if is_tls else "does it take some without TLS?"
            )
            raise kind(
                f"the Redis server at {self._place} broke off the connection ({error}); "
                f"is it still running, and {advice}"
            ) from error

    def _send(self, parts: Sequence[Argument]) -> None:
        if len(parts) == 1 and len(parts[0]) < _BUFFER_BYTES:
            self._socket.sendall(parts[0])
            return
        size_bytes = sum(map(len, parts))
        if size_bytes < _BUFFER_BYTES:
            for part in parts:
                self._socket.sendall(part)
            return
        deadline = time.monotonic() + self._timeouts.for_bytes(size_bytes)
        for part in parts:
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            self._socket.sendall(part)
        self._socket.settimeout(self._timeouts.operation_seconds)

    def _receive(self, started: float, replies: int, head_bytes: int) -> list[object]:
        found: list[object] = []
        received_bytes = 0
        sent = time.monotonic()
        # A long send had its own time; a slow one leaves the answer less.
        if _NOTED_SECONDS < sent - started < self._timeouts.operation_seconds:
            sent = started
        adjusted = sent == started
        while True:
            if adjusted:
                left = sent + self._timeouts.for_bytes(received_bytes) - time.monotonic()
                if left <= 0:
                    raise TimeoutError("the time is up")
                self._socket.settimeout(left)
            count = self._socket.recv_into(self._buffer)
            if count == 0:
                raise ConnectionResetError("end of stream")
            # What has few digits is no large value.
            if replies == 1 and received_bytes == 0 and self._buffer.find(_CR, 0, _FEW) < 0:
                value_bytes = self._size_of_large_value(count - head_bytes)
                if value_bytes is not None:
                    return [self._receive_value(sent, count, value_bytes, head_bytes)]
            received_bytes += count
            # The stub does not know that it takes any buffer.
            self._reader.feed(self._buffer, 0, count)  # type: ignore[arg-type]
            while (reply := self._reader.gets()) is not _NeedsMore:
                found.append(reply)
                if len(found) == replies:
                    if adjusted:
                        self._socket.settimeout(self._timeouts.operation_seconds)
                    return found
            adjusted = True

    def _size_of_large_value(self, count: int) -> int | None:
        """The size of the large value that the first bytes of a reply announce, if so many came."""
        if self._buffer[0] != _VALUE or count < _HEADER_MAX_BYTES:
            return None
        end = self._buffer.find(b"\r\n", 0, _HEADER_MAX_BYTES)
        digits = bytes(self._buffer[1:end]) if end > 0 else b""
        size_bytes = int(digits) if digits.isdigit() else 0
        # What the buffer may hold already comes cheaper by the parser.
        return size_bytes if size_bytes >= _DIRECT_BYTES else None

    def _receive_value(
        self, sent: float, count: int, size_bytes: int, head_bytes: int
    ) -> bytes | tuple[bytes, bytes]:
        """A large value, received in place: the parser would hold it twice while it grows.

        `head_bytes` of it, which are in the buffer, come apart from the rest.
        """
        start = self._buffer.find(b"\r\n") + 2
        head = bytes(self._buffer[start : start + head_bytes])
        start += len(head)
        size_bytes -= len(head)
        filled = BytesToFill(size_bytes)
        have = min(count - start, size_bytes)
        filled.view[:have] = memoryview(self._buffer)[start : start + have]
        ending = bytes(self._buffer[start + have : count])
        received_bytes = count
        while have < size_bytes or len(ending) < len(_END):
            left = sent + self._timeouts.for_bytes(received_bytes) - time.monotonic()
            if left <= 0:
                raise TimeoutError("the time is up")
            self._socket.settimeout(left)
            if have < size_bytes:
                count = self._socket.recv_into(filled.view[have:])
                have += count
            else:
                more = self._socket.recv(len(_END) - len(ending))
                count = len(more)
                ending += more
            if count == 0:
                raise ConnectionResetError("end of stream")
            received_bytes += count
        if ending != _END:
            raise BackendProtocolError(
                f"the Redis server at {self._place} ended a value with {ending[:20]!r}; "
                "is it a Redis server?"
            )
        self._socket.settimeout(self._timeouts.operation_seconds)
        value = filled.finish()
        return (head, value) if head_bytes else value

    def close(self) -> None:
        """Close the descriptor, without a word to the server."""
        self._socket.close()
