"""Forks a writer, and kills it at a moment of its work."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import torch

READY = b"ready\n"

# Takes the store, the first version to write, and a descriptor, to which it writes READY and then a
# line of a slot and a version for each write that was reported done.
Writer = Callable[[Path, int, int], None]


def one_round(
    location: Path,
    first_version: int,
    pause_seconds: float,
    write: Writer,
    reports: int = 0,
) -> list[tuple[int, int]]:
    """Forks a writer, kills it a pause after so many reports; the names and versions of all."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            torch.set_num_threads(1)  # PyTorch's own threads did not cross the fork.
            write(location, first_version, writing)
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        assert pipe.read(len(READY)) == READY, "the writer could not open the store"
        heard = b""
        while heard.count(b"\n") < reports:
            heard += pipe.read(1)
        time.sleep(pause_seconds)
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        assert os.WIFSIGNALED(status), f"the writer ended by itself: {status}"
        lines = (heard + pipe.readall()).split(b"\n")[:-1]
    return [(int(slot), int(version)) for slot, version in (line.split() for line in lines)]
