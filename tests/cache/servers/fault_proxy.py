"""A proxy between a client and a real server, which does what bad networks do, or adds TLS."""

import contextlib
import socket
import ssl
import threading
from types import TracebackType
from typing import Self

from torchstash.tests.cache.servers.local_server import free_port

# Smaller runs of bytes are headers and short answers: `corrupts_answers` leaves them alone.
_CORRUPTED_FROM_BYTES = 4096


class FaultProxy:
    """Passes bytes on between a port of its own and `target_port`, until it is told otherwise.

    Attributes:
        corrupts_answers: A bit in the middle of each large run of bytes of answers is flipped.
        cut_answers_after_bytes: Each new connection is cut once so many bytes of answers passed.
        cut_requests_after_bytes: The same of requests.
        drip_seconds: So long each single byte of an answer takes, in new connections.
        tls: What new connections must agree on; None: no TLS.
    """

    host = "127.0.0.1"

    def __init__(self, target_port: int, *, tls: ssl.SSLContext | None = None) -> None:
        self._target_port = target_port
        self.tls = tls
        self.port = free_port()
        self._stopped = threading.Event()
        # Set while bytes pass.
        self._passes = threading.Event()
        self._passes.set()
        self._lock = threading.Lock()
        self._ends: set[socket.socket] = set()
        self.corrupts_answers = False
        self.cut_answers_after_bytes: int | None = None
        self.cut_requests_after_bytes: int | None = None
        self.drip_seconds = 0.0

    def __enter__(self) -> Self:
        self.listen()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self.speak()
        self.refuse()

    def listen(self) -> None:
        """Take connections, again after `refuse`."""
        self._listener = socket.create_server((self.host, self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def refuse(self) -> None:
        """Take no connections, and cut those that there are."""
        # Closing alone does not wake a thread that waits in `accept`.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def fall_silent(self) -> None:
        """Take connections, but pass nothing on."""
        self._passes.clear()

    def speak(self) -> None:
        """Pass bytes on again, over new connections."""
        self.cut()
        self._passes.set()

    def cut(self) -> None:
        """Cut the connections that there are."""
        with self._lock:
            for end in self._ends:
                _shut(end)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.ExitStack() as stack:
            stack.enter_context(client)
            try:
                if self.tls is not None:
                    client = stack.enter_context(self.tls.wrap_socket(client, server_side=True))
                server = socket.create_connection((self.host, self._target_port))
            except OSError:
                return
            stack.enter_context(server)
            with self._lock:
                self._ends |= {client, server}
            back = threading.Thread(target=self._pump_answers, args=(server, client), daemon=True)
            back.start()
            self._pump(client, server, self.cut_requests_after_bytes, 0.0, is_answer=False)
            back.join()
            with self._lock:
                self._ends -= {client, server}

    def _pump_answers(self, server: socket.socket, client: socket.socket) -> None:
        cut_after_bytes, drip_seconds = self.cut_answers_after_bytes, self.drip_seconds
        self._pump(server, client, cut_after_bytes, drip_seconds, is_answer=True)

    def _pump(
        self,
        source: socket.socket,
        sink: socket.socket,
        cut_after_bytes: int | None,
        drip_seconds: float,
        *,
        is_answer: bool,
    ) -> None:
        passed_bytes = 0
        try:
            while data := source.recv(65536):
                self._passes.wait()
                if is_answer and self.corrupts_answers and len(data) >= _CORRUPTED_FROM_BYTES:
                    data = _flipped(data)
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
            _shut(source)
            _shut(sink)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
