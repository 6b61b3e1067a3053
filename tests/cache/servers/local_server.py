"""A real server that a test runs: on loopback, on a port of its own, in a folder of its own."""

import contextlib
import os
import random
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

# Below the ports that the system gives to outgoing connections, so that a server which is
# restarted finds its port free.
_PORTS = range(20_000, 32_000)
_STOP_SECONDS = 10.0


# Sockets that hold the ports which were given, so that no other test program gets one of them.
_held: list[socket.socket] = []


def free_port() -> int:
    """A port of loopback on which nothing listens; on Linux nobody else's while this process lives.

    A socket stays bound to it, without listening. Linux lets a server bind it as well that may use
    addresses again, as all do that can be restarted; other systems do not.
    """
    for _ in range(100):
        port = random.choice(_PORTS)
        holder = socket.socket()
        try:
            holder.bind(("127.0.0.1", port))
        except OSError:
            holder.close()
            continue
        if sys.platform == "linux":
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            _held.append(holder)
        else:
            holder.close()
        return port
    raise AssertionError(f"no port of {_PORTS} is free")


class LocalServer(ABC):
    """Running inside a `with` block. `start` and `kill` make it come and go on the same port."""

    host = "127.0.0.1"
    ready_seconds = 60.0

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """The program and its arguments."""

    def environment(self) -> dict[str, str]:
        """Its variables. One that is a Python program imports what the test does."""
        return {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}

    def is_ready(self) -> bool:
        """Whether it takes requests; to begin with, connections."""
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((self.host, self.port)) == 0

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=self.environment(),
            )
        deadline = time.monotonic() + self.ready_seconds
        while not self.is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                log_tail = self.log_path.read_text(errors="replace")[-4000:]
                raise AssertionError(f"{self.command()[0]} did not become ready:\n{log_tail}")
            time.sleep(0.02)

    @property
    def pid(self) -> int:
        """The process of the server."""
        assert self._process is not None
        return self._process.pid

    @property
    def log_path(self) -> Path:
        """What it has said."""
        return self.folder / "log"

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        if self._process is not None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_SECONDS)
            self.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
