"""Code that a test runs in another process."""

import itertools
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable


def run_in_child(work: Callable[[], None]) -> None:
    """Run `work` in a forked child, and fail with its traceback if it fails there."""
    end_child(start_child(work))


def start_child(work: Callable[[], None]) -> tuple[int, int]:
    """Fork a child that runs `work`; hand the result to `end_child`."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.close(reader)
            work()
        except BaseException:
            os.write(writer, traceback.format_exc().encode()[-4096:])
        finally:
            os._exit(0)
    os.close(writer)
    return pid, reader


def end_child(child: tuple[int, int]) -> None:
    """Wait for a child, and fail with its traceback if it failed."""
    pid, reader = child
    with os.fdopen(reader, "rb") as pipe:
        report = pipe.read().decode()
    _, status = os.waitpid(pid, 0)
    if report or status:
        raise AssertionError(f"the child ended with status {status}:\n{report}")


def fork_while_threads_work(
    work: Callable[[str, int], None], in_child: Callable[[], None], *, forks: int
) -> None:
    """Fork children that run `in_child`, one after another, while three threads repeat `work`.

    `work` gets the name of its thread and a number that counts up; what it raises fails the test.
    """
    stop = threading.Event()
    failures: list[BaseException] = []

    def repeat(name: str) -> None:
        try:
            for i in itertools.count():
                if stop.is_set():
                    return
                work(name, i)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=repeat, args=(f"thread/{i}",)) for i in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(forks):
            run_in_child(in_child)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures


def run_python(code: str, *arguments: object, environment: dict[str, str] | None = None) -> str:
    """Run `code` in a new interpreter that imports what this one does; what it printed."""
    return end_python(start_python(code, *arguments, environment=environment))


def start_python(
    code: str, *arguments: object, environment: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start a new interpreter; hand the result to `end_python`."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end_python(child: subprocess.Popen[str]) -> str:
    """Wait for an interpreter, and fail with what it said if it failed; what it printed."""
    printed, said = child.communicate()
    if child.returncode:
        raise AssertionError(f"the child ended with status {child.returncode}:\n{said}")
    return printed
