"""A folder on a medium that cannot be written, for whoever runs the tests.

The kernel refuses what root may do too: a child has a table of mounts of its own, in which the
folder is mounted over itself, read-only (mount(2), `MS_REMOUNT | MS_BIND`). Where that is not
allowed, modes of files do for others than root.
"""

import ctypes
import os
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

_NEW_MOUNTS, _NEW_USER = 0x20000, 0x10000000
_READ_ONLY, _REMOUNT, _BIND, _RECURSIVE, _PRIVATE = 1, 32, 4096, 16384, 1 << 18
# What a mount forbids already must stay so. The names of these flags in statvfs(3) and mount(2).
_KEPT = {2: 2, 4: 4, 8: 8, 1024: 1024, 2048: 2048, 4096: 1 << 21}

_NOT_ALLOWED, _FAILED = 77, 1


def on_read_only_medium(folder: Path, work: Callable[[], object]) -> None:
    """Call `work` where nothing in `folder` can be written; in a child, if need be.

    Skips the test where root is not allowed to make such a medium.
    """
    pid = os.fork()
    if not pid:
        code = _FAILED
        try:
            code = _NOT_ALLOWED
            _mount_read_only(folder)
            code = _FAILED
            work()
            code = 0
        except BaseException:
            if code == _FAILED:
                traceback.print_exc()
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code == _NOT_ALLOWED:
        if os.geteuid() == 0:
            pytest.skip("root may write everywhere, and not mount anything, here")
        _with_modes(folder, work)
    else:
        assert code == 0, "see above for what the child found"


def _mount_read_only(folder: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)

    def call(name: str, *arguments: object) -> None:
        if getattr(libc, name)(*arguments) == -1:
            error = ctypes.get_errno()
            raise OSError(error, f"{name}: {os.strerror(error)}")

    user, group = os.geteuid(), os.getegid()
    try:
        call("unshare", _NEW_MOUNTS)
    except OSError:
        call("unshare", _NEW_MOUNTS | _NEW_USER)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    path = os.fsencode(folder)
    flags = os.statvfs(folder).f_flag
    kept = sum(ours for theirs, ours in _KEPT.items() if flags & theirs)
    ulong = ctypes.c_ulong
    call("mount", None, b"/", None, ulong(_RECURSIVE | _PRIVATE), None)
    call("mount", path, path, None, ulong(_BIND), None)
    call("mount", None, path, None, ulong(_REMOUNT | _BIND | _READ_ONLY | kept), None)


def _with_modes(folder: Path, work: Callable[[], object]) -> None:
    modes = {path: path.stat().st_mode for path in (folder, *folder.rglob("*"))}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    try:
        work()
    finally:
        for path, mode in modes.items():
            path.chmod(mode)
