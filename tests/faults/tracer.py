"""Runs code in a child, and does to its system calls what a test wants done.

Calls of all threads are counted, those of C code included. At each a test decides: let it be, kill
the process before it, or after half of it, or let it fail with an errno.
"""

import os
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from torchstash.tests.faults.ptrace import (
    TRACEME,
    Stopped,
    ptrace,
    run_to_next_stop,
    set_options,
)
from torchstash.tests.faults.write_calls import COUNTED, call_name, creates, flags_argument

_WAIT_ALL = 0x40000000
_SYSCALL_STOP = signal.SIGTRAP | 0x80


class Act(Enum):
    """What becomes of a call."""

    GO_ON = "go on"
    KILL = "kill before it"
    # A write of n bytes writes n / 2, and the process dies.
    TEAR = "kill in the middle of it"
    # A write of n bytes writes n / 2, and says so.
    SHORTEN = "cut it short"


@dataclass(frozen=True, slots=True)
class Call:
    """A system call that begins. `name` is that of one that changes files, else None."""

    index: int
    name: str | None
    is_counted: bool


Decide = Callable[[Call], Act | int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the child ended, and how many system calls it began."""

    status: int
    calls: int

    @property
    def was_killed(self) -> bool:
        return os.WIFSIGNALED(self.status) and os.WTERMSIG(self.status) == signal.SIGKILL

    @property
    def exit_code(self) -> int:
        """That with which it ended by itself; -1 where it did not."""
        return os.WEXITSTATUS(self.status) if os.WIFEXITED(self.status) else -1


def trace(work: Callable[[], int], decide: Decide) -> Outcome:
    """Run `work` in a forked child, which ends with what it returns; 99 for an exception.

    `decide` gives an act for each call, or the errno with which it fails.
    """
    pid = os.fork()
    if not pid:
        code = 99
        try:
            ptrace(TRACEME, 0)
            os.kill(os.getpid(), signal.SIGSTOP)
            code = work()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.waitpid(pid, 0)
    set_options(pid)
    run_to_next_stop(pid)
    return _Loop(pid, decide).run()


class _Loop:
    def __init__(self, pid: int, decide: Decide) -> None:
        self._pid = pid
        self._decide = decide
        self._calls = 0
        # Threads within a call, and what is to be done at its end.
        self._within: dict[int, Act | int] = {}

    def run(self) -> Outcome:
        while True:
            thread, status = os.waitpid(-1, _WAIT_ALL)
            if os.WIFEXITED(status) or os.WIFSIGNALED(status):
                self._within.pop(thread, None)
                if thread == self._pid:
                    return Outcome(status, self._calls)
                continue
            try:
                self._stopped(thread, os.WSTOPSIG(status), is_event=status >> 16 != 0)
            except ProcessLookupError:
                continue  # It was killed meanwhile.

    def _stopped(self, thread: int, stop: int, *, is_event: bool) -> None:
        if stop == _SYSCALL_STOP:
            if thread in self._within:
                self._end(thread, self._within.pop(thread))
            else:
                self._within[thread] = self._begin(thread)
            run_to_next_stop(thread)
        else:
            # A new thread stops once; that is no signal for it.
            is_ours = is_event or stop in (signal.SIGSTOP, signal.SIGTRAP)
            run_to_next_stop(thread, 0 if is_ours else stop)

    def _begin(self, thread: int) -> Act | int:
        stopped = Stopped(thread)
        name = call_name(stopped.number)
        where = None if name is None else flags_argument(name)
        if where is not None and not creates(stopped.argument(where)):
            name = None
        call = Call(self._calls, name, name in COUNTED and stopped.argument(2) > 1)
        self._calls += 1
        act = self._decide(call)
        if act is Act.KILL:
            os.kill(self._pid, signal.SIGKILL)
        elif act in (Act.TEAR, Act.SHORTEN):
            stopped.set_argument(2, stopped.argument(2) // 2)
        elif isinstance(act, int):
            stopped.skip()
        return act

    def _end(self, thread: int, act: Act | int) -> None:
        if act is Act.TEAR:
            os.kill(self._pid, signal.SIGKILL)
        elif isinstance(act, int):
            Stopped(thread).fail(act)
