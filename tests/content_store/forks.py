"""Children of this process by fork, with a deadline."""

import os
import select
import signal
import traceback
from collections.abc import Callable

DEADLINE_SECONDS = 60.0


def result_in_child(work: Callable[[], str]) -> str:
    """What `work` returns in a forked child. One that hangs is killed and fails."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writing, work().encode())
        except BaseException:
            os.write(writing, traceback.format_exc().encode())
        finally:
            os._exit(0)
    os.close(writing)
    try:
        ready, _, _ = select.select([reading], [], [], DEADLINE_SECONDS)
        if not ready:
            os.kill(pid, signal.SIGKILL)
            raise TimeoutError(f"the child did nothing for {DEADLINE_SECONDS} s")
        return os.read(reading, 1 << 16).decode()
    finally:
        os.close(reading)
        os.waitpid(pid, 0)
