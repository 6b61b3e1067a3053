"""What ptrace(2) shows and changes of a stopped thread, on Linux on x86-64 and 64-bit ARM.

Through ctypes, so that a test needs no compiler and no library of its own.
"""

import ctypes
import os
import platform
import sys
from typing import Any

import pytest

TRACEME = 0
_SYSCALL = 24
_SETOPTIONS = 0x4200
_GETREGSET, _SETREGSET = 0x4204, 0x4205
_NT_PRSTATUS, _NT_ARM_SYSTEM_CALL = 1, 0x404

_TRACESYSGOOD = 1
_TRACECLONE = 8
_EXITKILL = 1 << 20

_MACHINE = platform.machine()
_IS_X86 = _MACHINE == "x86_64"
# Positions in `struct user_regs_struct` and `struct user_pt_regs`: the number of the call, its
# result, and its first four arguments.
_COUNT = 27 if _IS_X86 else 34
_NUMBER, _RESULT = (15, 10) if _IS_X86 else (8, 0)
_ARGUMENTS = (14, 13, 12, 7) if _IS_X86 else (0, 1, 2, 3)

needs_ptrace = pytest.mark.skipif(
    sys.platform != "linux" or _MACHINE not in ("x86_64", "aarch64"),
    reason="system calls are traced on Linux on x86-64 and 64-bit ARM alone",
)

_Registers = ctypes.c_uint64 * _COUNT


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("size_bytes", ctypes.c_size_t))


def _libc() -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.restype = ctypes.c_long
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    return libc


_LIBC = _libc()


def ptrace(request: int, thread: int, address: int = 0, data: int = 0) -> None:
    """One call. Raises `OSError`."""
    if _LIBC.ptrace(request, thread, address, data) == -1:
        error = ctypes.get_errno()
        raise OSError(error, f"ptrace({request:#x}): {os.strerror(error)}")


def set_options(thread: int) -> None:
    """Tell system calls from signals, follow new threads, and die with the tracer."""
    ptrace(_SETOPTIONS, thread, 0, _TRACESYSGOOD | _TRACECLONE | _EXITKILL)


def run_to_next_stop(thread: int, signal: int = 0) -> None:
    """Let a stopped thread run to the beginning or end of a system call."""
    ptrace(_SYSCALL, thread, 0, signal)


class Stopped:
    """The registers of a thread that stands at the beginning or at the end of a system call."""

    def __init__(self, thread: int) -> None:
        self._thread = thread
        self._registers = _Registers()
        self._vector = _Vector(ctypes.addressof(self._registers), ctypes.sizeof(self._registers))
        ptrace(_GETREGSET, thread, _NT_PRSTATUS, ctypes.addressof(self._vector))

    def _write(self) -> None:
        ptrace(_SETREGSET, self._thread, _NT_PRSTATUS, ctypes.addressof(self._vector))

    @property
    def number(self) -> int:
        """That of the system call."""
        return int(self._registers[_NUMBER])

    def argument(self, index: int) -> int:
        """One of the first four, as an unsigned number."""
        return int(self._registers[_ARGUMENTS[index]])

    def set_argument(self, index: int, value: int) -> None:
        """Change what the call is asked. At its beginning."""
        self._registers[_ARGUMENTS[index]] = value
        self._write()

    def skip(self) -> None:
        """Let the kernel do nothing. At the beginning."""
        if _IS_X86:
            self._registers[_NUMBER] = 2**64 - 1
            self._write()
            return
        number = ctypes.c_int(-1)
        vector = _Vector(ctypes.addressof(number), ctypes.sizeof(number))
        ptrace(_SETREGSET, self._thread, _NT_ARM_SYSTEM_CALL, ctypes.addressof(vector))

    def fail(self, error: int) -> None:
        """Let the call have failed with this errno. At the end."""
        self._registers[_RESULT] = 2**64 - error
        self._write()
