"""Ways to keep a checkpoint on disk, behind the calls that are timed. All wait for the medium."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch.distributed.checkpoint as dcp

from torchstash.content_store import ContentStoreReader, ContentStoreWriter
from torchstash.content_store.distributed_checkpoint import CheckpointReader, CheckpointWriter

OURS = "torchstash CheckpointWriter"
OURS_ALONE = "torchstash save_state_dict"
TORCH = "torch FileSystemWriter"


@dataclass(frozen=True)
class Format:
    """Saves, loads and deletes checkpoints by name in one folder."""

    save: Callable[[str, dict[str, Any]], None]
    # Into the tensors of the caller.
    load: Callable[[str, dict[str, Any]], None]
    delete: Callable[[str], None]


def checkpoint_writer(folder: Path) -> Format:
    """Ours, through `torch.distributed.checkpoint`."""
    store = folder / "store"

    def save(name: str, state: dict[str, Any]) -> None:
        dcp.save(state, storage_writer=CheckpointWriter(store, name), no_dist=True)

    def load(name: str, state: dict[str, Any]) -> None:
        dcp.load(state, storage_reader=CheckpointReader(store, name), no_dist=True)

    return Format(save, load, lambda name: _delete_snapshot(store, name))


def save_state_dict(folder: Path) -> Format:
    """Ours, without it; what it loads is copied into the caller's tensors as well."""
    store = folder / "store"

    def save(name: str, state: dict[str, Any]) -> None:
        with ContentStoreWriter(store) as writer:
            writer.save_state_dict(name, state)

    def load(name: str, state: dict[str, Any]) -> None:
        with ContentStoreReader(store) as reader:
            found = reader.load_state_dict(name)
        for key, tensor in state["model"].items():
            tensor.copy_(found["model"][key])
        state["counts"].update(found["counts"])

    return Format(save, load, lambda name: _delete_snapshot(store, name))


def file_system_writer(folder: Path) -> Format:
    """PyTorch's: a folder for each checkpoint."""

    def save(name: str, state: dict[str, Any]) -> None:
        dcp.save(state, storage_writer=dcp.FileSystemWriter(folder / name), no_dist=True)

    def load(name: str, state: dict[str, Any]) -> None:
        dcp.load(state, storage_reader=dcp.FileSystemReader(folder / name), no_dist=True)

    return Format(save, load, lambda name: shutil.rmtree(folder / name, ignore_errors=True))


def _delete_snapshot(store: Path, name: str) -> None:
    with ContentStoreWriter(store) as writer:
        writer.delete_snapshot(name)


FORMATS: dict[str, Callable[[Path], Format]] = {
    OURS: checkpoint_writer,
    OURS_ALONE: save_state_dict,
    TORCH: file_system_writer,
}
