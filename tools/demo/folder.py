"""The folder in which the demo leaves its files.

It is the same at every run, and what the last run left is removed first. Only a folder that the
demo made itself is ever emptied, and by one run at a time: both are told by a file in it, which
carries a lock while a demo runs.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from torchstash.tools.demo.errors import DemoError

_MARK = ".torchstash-demo"


def default_folder() -> Path:
    """`torchstash/demo` where the user's caches lie (XDG Base Directory)."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "torchstash" / "demo"


@contextlib.contextmanager
def fresh_folder(folder: Path) -> Iterator[None]:
    """Makes `folder` if need be and empties it; no other demo uses it inside the block.

    Raises:
        DemoError: It holds something else than a demo's files, or another demo is running in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / _MARK
    if not mark.exists() and any(folder.iterdir()):
        raise DemoError(
            f"{folder} holds files that no demo made, and is left alone; "
            "give --folder a new folder, or an empty one"
        )
    with mark.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DemoError(
                f"another demo is running in {folder}; wait for it, or give --folder another one"
            ) from error
        for path in folder.iterdir():
            if path == mark:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        yield
