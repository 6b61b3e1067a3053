"""What kind of medium a store lies on, as far as reading from it goes."""

from pathlib import Path
from typing import Final

_NETWORK_TYPES: Final = frozenset(
    {
        "9p", "afs", "beegfs", "ceph", "cifs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs",
        "nfs", "nfs4", "ocfs2", "orangefs", "pvfs2", "smb3", "smbfs", "virtiofs", "wekafs",
    }
)  # fmt: skip
_MOUNTS: Final = Path("/proc/self/mountinfo")


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
        resolved = folder.resolve()
    except OSError:
        return None
    found, longest = None, -1
    for line in lines:
        fields, _, kind = line.partition(b" - ")
        # Spaces in the path are written as octal numbers.
        raw = fields.split(b" ")[4]
        point = Path(
            raw.decode("unicode_escape").encode("latin-1").decode(errors="surrogateescape")
        )
        # The last one of a mount point is the one on top.
        if resolved.is_relative_to(point) and len(point.parts) >= longest:
            found, longest = kind.split(b" ")[0].decode(), len(point.parts)
    return found
