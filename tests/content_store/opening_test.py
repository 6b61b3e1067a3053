"""A store of a newer format, and who may look into a store."""

import os
import sqlite3
import stat
from pathlib import Path

import pytest
import torch

from torchstash.content_store import (
    ContentStoreError,
    ContentStoreMaintenance,
    ContentStoreReader,
    ContentStoreWriter,
)


def test_a_newer_format_is_refused_by_name(tmp_path: Path) -> None:
    with ContentStoreWriter(tmp_path) as writer:
        writer.write_tensor("x", torch.ones(3))
    with sqlite3.connect(tmp_path / "catalogue.sqlite3") as catalogue:
        catalogue.execute("PRAGMA user_version = 99")
    catalogue.close()
    maintenance = ContentStoreMaintenance(tmp_path)
    for use in (
        lambda: ContentStoreWriter(tmp_path),
        lambda: ContentStoreReader(tmp_path).read_tensor("x"),
        lambda: list(maintenance.verify()),
        maintenance.repair,
        maintenance.gc,
    ):
        with pytest.raises(ContentStoreError, match=r"format 99.*use a newer torchstash"):
            use()


def test_everything_is_private_to_the_user(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        location = tmp_path / "store"
        with ContentStoreWriter(location) as writer:
            for size in (3, 3000, 50_000):
                writer.write_tensor(f"{size}", torch.ones(size))
            writer.save_state_dict("s", {"w": torch.zeros(50_000)})
            ContentStoreMaintenance(location).set_quota(1 << 30)
            ContentStoreMaintenance(location).repair()
            for path in (location, *location.rglob("*")):
                assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
    finally:
        os.umask(umask)
