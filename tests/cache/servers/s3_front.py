"""Another store's protocol on top of an S3 server: what the two call differently is translated."""

import http.client
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from typing_extensions import override

_NOT_PASSED_ON = {"authorization", "connection", "content-length", "host", "transfer-encoding"}


@dataclass(slots=True)
class Message:
    """A request or an answer.

    Attributes:
        headers: By their names in small letters.
        body: All of it.
        target: Path and query, of a request.
        status: Of an answer.
    """

    headers: dict[str, str]
    body: bytes
    target: str = ""
    status: int = 200


class S3Front(ABC):
    """Listens on loopback inside a `with` block. The S3 server must trust everybody.

    Attributes:
        port: Where it listens.
    """

    def __init__(self, s3_port: int) -> None:
        self._s3_port = s3_port

        def answer(handler: BaseHTTPRequestHandler) -> None:
            self._answer(handler)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            @override
            def log_message(self, format: str, *args: object) -> None:
                pass

        for method in ("GET", "HEAD", "POST", "PUT", "DELETE"):
            setattr(Handler, f"do_{method}", answer)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @abstractmethod
    def refusal(self, authorization: str) -> Message | None:
        """The answer to those who may not come in."""

    @abstractmethod
    def to_s3(self, request: Message) -> None:
        """Make a request one of S3."""

    @abstractmethod
    def from_s3(self, answer: Message) -> None:
        """Make an answer of S3 one of this store."""

    def respond(self, method: str, request: Message) -> Message:
        """The answer to a request."""
        self.to_s3(request)
        answer = self._ask(method, request)
        self.from_s3(answer)
        return answer

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        answer = self.refusal(handler.headers.get("Authorization", ""))
        if answer is None:
            request = Message(_passed_on(handler.headers.items()), body, handler.path)
            answer = self.respond(handler.command, request)
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        if handler.command != "HEAD":
            handler.send_header("content-length", str(len(answer.body)))
        handler.end_headers()
        handler.wfile.write(answer.body)

    def _ask(self, method: str, request: Message) -> Message:
        connection = http.client.HTTPConnection("127.0.0.1", self._s3_port)
        try:
            connection.request(method, request.target, request.body, request.headers)
            answer = connection.getresponse()
            headers = _passed_on(answer.getheaders())
            if method == "HEAD":
                headers["content-length"] = answer.headers["Content-Length"] or "0"
            return Message(headers, answer.read(), status=answer.status)
        finally:
            connection.close()


def _passed_on(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    pairs = ((name.lower(), value) for name, value in headers)
    return {name: value for name, value in pairs if name not in _NOT_PASSED_ON}
