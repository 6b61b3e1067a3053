"""Which file system a folder lies on, by a table of mounts as proc(5) describes it."""

from pathlib import Path

import pytest

from torchstash.cache.disk.medium import file_system_type, is_on_network

MOUNTS = r"""22 1 0:20 / / rw - overlay overlay rw
30 22 0:30 / /data rw shared:1 - ext4 /dev/sda rw
31 30 0:31 / /data/team\040share rw shared:2 master:3 - nfs4 server:/team rw
32 22 0:32 / /mnt/bucket rw - fuse.rclone remote: rw
33 22 0:33 / /over rw - nfs server:/old rw
34 33 0:34 / /over rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("folder", "kind", "on_network"),
    [
        ("/home/me", "overlay", False),
        ("/data/store", "ext4", False),
        ("/data/team share/store", "nfs4", True),
        ("/data/team shared", "ext4", False),
        ("/mnt/bucket/a/b", "fuse.rclone", True),
        ("/over/there", "tmpfs", False),
    ],
)
def test_the_longest_and_latest_mount_counts(
    tmp_path: Path, folder: str, kind: str, on_network: bool
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert file_system_type(Path(folder), mounts) == kind
    assert is_on_network(Path(folder), mounts) == on_network


def test_where_there_is_no_table(tmp_path: Path) -> None:
    assert not is_on_network(tmp_path, tmp_path / "absent")


def test_this_machine(tmp_path: Path) -> None:
    is_on_network(tmp_path)
