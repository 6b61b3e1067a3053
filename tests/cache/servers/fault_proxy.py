"""A proxy between a client and a real server, which does what bad networks do, or adds TLS."""

import contextlib
import socket
import ssl
import threading
from types import TracebackType
from typing import Self


class FaultProxy:
    """Passes bytes on between a port of its own and `target_port`, until it is told otherwise.

    Attributes:
        cut_answers_after_bytes: Each new connection is cut once so many bytes of answers passed.
        cut_requests_after_bytes: The same of requests.
        drip_seconds: So long each single byte of an answer takes.
    """

    host = "127.0.0.1"

    def __init__(self, target_port: int, *, tls: ssl.SSLContext | None = None) -> None:
        self._target_port = target_port
        self._tls = tls
        self._stopped = threading.Event()
        self.cut_answers_after_bytes: int | None = None
        self.cut_requests_after_bytes: int | None = None
        self.drip_seconds = 0.0

    def __enter__(self) -> Self:
        self._listener = socket.create_server((self.host, 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopped.set()
        # Closing alone does not wake a thread that waits in `accept`.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.ExitStack() as stack:
            stack.enter_context(client)
            try:
                if self._tls is not None:
                    client = stack.enter_context(self._tls.wrap_socket(client, server_side=True))
                server = socket.create_connection((self.host, self._target_port))
            except OSError:
                return
            stack.enter_context(server)
            back = threading.Thread(
                target=self._pump,
                args=(server, client, self.cut_answers_after_bytes, self.drip_seconds),
                daemon=True,
            )
            back.start()
            self._pump(client, server, self.cut_requests_after_bytes, 0.0)
            back.join()

    def _pump(
        self,
        source: socket.socket,
        sink: socket.socket,
        cut_after_bytes: int | None,
        drip_seconds: float,
    ) -> None:
        passed_bytes = 0
        try:
            while data := source.recv(65536):
                if cut_after_bytes is not None and passed_bytes + len(data) > cut_after_bytes:
                    sink.sendall(data[: cut_after_bytes - passed_bytes])
                    break
                if drip_seconds:
                    for byte in data:
                        sink.sendall(bytes([byte]))
                        if self._stopped.wait(drip_seconds):
                            return
                else:
                    sink.sendall(data)
                passed_bytes += len(data)
        except OSError:
            pass
        finally:
            for end in (source, sink):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
