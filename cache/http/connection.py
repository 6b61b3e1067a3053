"""One HTTP/1.1 connection that stays open between requests."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from socket import socket
from typing import cast

from torchstash.cache.buffers import BytesToFill
from torchstash.cache.http.paced_socket import PacedSocket
from torchstash.cache.network import Timeouts


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered."""

    status: int
    reason: str
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

    def exchange(
        self, method: str, target: str, body: memoryview | None, headers: Mapping[str, str]
    ) -> Answer:
        """Send a request, and read all of its answer."""
        self._paced.begin()
        try:
            self._client.request(method, target, body, headers)
        except (BrokenPipeError, ConnectionResetError):
            # It may have answered early, with a refusal, and read no further.
            self.is_open = False
        response = self._client.getresponse()
        with response:
            answer = Answer(response.status, response.reason, _body(response))
            self.is_open = self.is_open and not response.will_close
        return answer

    def close(self) -> None:
        """Close the descriptor, without a word to the server."""
        self._client.close()
        self._paced.close()


def _body(response: HTTPResponse) -> bytes:
    """The body; received where it stays, if its size was announced."""
    if response.length is None:
        return response.read()
    filled = BytesToFill(response.length)
    received_bytes = 0
    while received_bytes < len(filled.view):
        count = response.readinto(filled.view[received_bytes:])
        if not count:
            raise IncompleteRead(b"", len(filled.view) - received_bytes)
        received_bytes += count
    return filled.finish()


EXCHANGE_ERRORS = (OSError, HTTPException)
