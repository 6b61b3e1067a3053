"""One HTTP/1.1 connection that stays open between requests."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from socket import socket
from typing import cast

from torchstash.cache.buffers import BytesToFill
from torchstash.cache.http.paced_socket import PacedSocket
from torchstash.cache.network import Timeouts

# A smaller body is received whole, and then taken apart.
_APART_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Request:
    """What a server is asked.

    Attributes:
        method: GET, say.
        target: The path.
        body: Is sent piece by piece. None: there is none.
        headers: Beside those that HTTP asks for.
        head_bytes: So many bytes of the answer's body come apart.
    """

    method: str
    target: str
    body: Sequence[bytes | memoryview] | None
    headers: Mapping[str, str]
    head_bytes: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered.

    Attributes:
        status: Its code.
        reason: The same in words.
        head: The first `head_bytes` bytes of the body, or all of it if they are fewer.
        body: The others.
    """

    status: int
    reason: str
    head: bytes
    body: bytes


class HttpConnection:
    """For one thread at a time. After an exception, and where `is_open` is False, close it.

    Raises (from `exchange`):
        TimeoutError: The answer was not whole in time.
        OSError, HTTPException: The server broke off, or answered no HTTP.
    """

    def __init__(self, connected: socket, host: str, port: int, timeouts: Timeouts) -> None:
        self.pid = os.getpid()
        self.is_open = True
        self._paced = PacedSocket(connected, timeouts)
        self._client = HTTPConnection(host, port)
        self._client.auto_open = 0
        self._client.sock = cast(socket, self._paced)

    def exchange(self, request: Request) -> Answer:
        """Send a request, and read all of its answer."""
        self._paced.begin()
        headers = dict(request.headers)
        if request.body is not None:
            headers["Content-Length"] = str(sum(map(len, request.body)))
        try:
            self._client.request(request.method, request.target, request.body, headers)
        except (BrokenPipeError, ConnectionResetError):
            # It may have answered early, with a refusal, and read no further.
            self.is_open = False
        response = self._client.getresponse()
        with response:
            head, body = _body(response, request.head_bytes)
            answer = Answer(response.status, response.reason, head, body)
            self.is_open = self.is_open and not response.will_close
        return answer

    def close(self) -> None:
        """Close the descriptor, without a word to the server."""
        self._client.close()
        self._paced.close()


def _body(response: HTTPResponse, head_bytes: int) -> tuple[bytes, bytes]:
    """The body in two parts; received where they stay, if its size was announced."""
    size_bytes = response.length
    if size_bytes is None or (head_bytes and size_bytes < _APART_BYTES):
        whole = response.read() if size_bytes is None else _received(response, size_bytes)
        return whole[:head_bytes], whole[head_bytes:]
    head = _received(response, head_bytes) if head_bytes else b""
    return head, _received(response, size_bytes - head_bytes)


def _received(response: HTTPResponse, size_bytes: int) -> bytes:
    filled = BytesToFill(size_bytes)
    received_bytes = 0
    while received_bytes < len(filled.view):
        count = response.readinto(filled.view[received_bytes:])
        if not count:
            raise IncompleteRead(b"", len(filled.view) - received_bytes)
        received_bytes += count
    return filled.finish()


EXCHANGE_ERRORS = (OSError, HTTPException)
