"""Puts a new catalogue in the place of a damaged one, which is kept aside.

At any instant the folder has a catalogue with all that the old one or the new one says:

1. The old catalogue and its log get second names.
2. If it has a log: a catalogue with the pages of both takes its place. SQLite would apply the log
   to it again, which changes nothing. Now the log can go.
3. The new catalogue takes its place.
"""

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from torchstash.cache.disk.salvage.exclusive import lock_out_others
from torchstash.cache.disk.salvage.image import CatalogueImage
from torchstash.cache.disk.sync_path import sync_path

_BESIDE = ("-wal", "-shm", "-journal")


def swap(catalogue: Path, new: Path, image: CatalogueImage) -> Path:
    """Put `new` in the place of `catalogue`; where that is kept. Raises `OSError`."""
    folder = catalogue.parent
    _give_to_the_same(catalogue, new)
    aside = _keep_aside(catalogue)
    sync_path(folder)
    descriptor = -1
    try:
        if image.has_log:
            merged = new.parent / "merged.sqlite3"
            _write_merged(merged, image)
            _give_to_the_same(catalogue, merged)
            descriptor = lock_out_others(merged, folder)
            merged.replace(catalogue)
            sync_path(folder)
        for suffix in _BESIDE:
            Path(f"{catalogue}{suffix}").unlink(missing_ok=True)
        sync_path(folder)
        new.replace(catalogue)
        sync_path(folder)
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    return aside


def _keep_aside(catalogue: Path) -> Path:
    number = 1
    while (aside := Path(f"{catalogue}.damaged-{number}")).exists():
        number += 1
    # Its name last: where it is, all of it is.
    for suffix in ("-journal", "-wal", ""):
        source = Path(f"{catalogue}{suffix}")
        if source.exists():
            target = Path(f"{aside}{suffix}")
            target.unlink(missing_ok=True)
            try:
                os.link(source, target)
            except OSError:
                shutil.copy2(source, target)
    return aside


def _give_to_the_same(catalogue: Path, new: Path) -> None:
    """Whoever could use the old one can use the new one, also where an administrator made it."""
    status = catalogue.stat()
    with suppress(PermissionError):
        os.chown(new, status.st_uid, status.st_gid)
    new.chmod(stat.S_IMODE(status.st_mode))


def _write_merged(path: Path, image: CatalogueImage) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for number in range(1, image.page_count + 1):
            file.write(image.page(number))
        file.flush()
        os.fsync(descriptor)
