"""Whether a store lies on a medium that other machines share."""

import os
import re
from pathlib import Path
from typing import Final

_NETWORK_TYPES: Final = frozenset(
    {
        "9p", "afs", "beegfs", "ceph", "cifs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs",
        "nfs", "nfs4", "ocfs2", "orangefs", "pvfs2", "smb3", "smbfs", "virtiofs", "wekafs",
    }
)  # fmt: skip
_MOUNTS: Final = Path("/proc/self/mountinfo")
_OCTAL: Final = re.compile(rb"\\([0-3][0-7][0-7])")


def is_on_network(folder: Path, mounts: Path = _MOUNTS) -> bool:
    """Whether `folder` lies on a network file system, or on a FUSE one, which often is.

    False where nobody can tell: other systems than Linux.
    """
    kind = file_system_type(folder, mounts)
    return kind is not None and (kind in _NETWORK_TYPES or kind.startswith("fuse"))


def file_system_type(folder: Path, mounts: Path = _MOUNTS) -> str | None:
    """The type by which the kernel knows the file system of `folder`; None where it does not say.

    Read from the table of mounts (proc(5)), which names types that share one number in statfs(2).
    """
    try:
        lines = mounts.read_bytes().splitlines()
        below = os.fsencode(os.path.realpath(folder)) + b"/"
    except OSError:
        return None
    found, longest = None, 0
    for line in lines:
        fields, _, kind = line.partition(b" - ")
        point = fields.split(b" ", 5)[4]
        if b"\\" in point:
            # Spaces and the like are written as octal numbers.
            point = _OCTAL.sub(lambda match: bytes([int(match[1], 8)]), point)
        point = point.rstrip(b"/") + b"/"
        # The last one of a mount point is the one on top.
        if below.startswith(point) and len(point) >= longest:
            found, longest = kind.split(b" ", 1)[0].decode(), len(point)
    return found
