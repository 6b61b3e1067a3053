"""A folder in memory, where waiting for the medium costs nothing: for tests of many commits."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_MEMORY = "/dev/shm"


@pytest.fixture
def memory_folder(tmp_path: Path) -> Iterator[Path]:
    """An empty folder, on a tmpfs where the system has one."""
    if not os.access(_MEMORY, os.W_OK):
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix="torchstash-", dir=_MEMORY))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
