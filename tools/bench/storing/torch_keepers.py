"""PyTorch's own ways to keep tensors."""

import logging
import warnings
from pathlib import Path
from types import ModuleType

import torch
from typing_extensions import override

from torchstash.tools.bench.errors import UnavailableError
from torchstash.tools.bench.storing.keeper import Keeper, Tensors

TORCH_SAVE = "torch.save, mmap load"


def torch_save() -> Keeper:
    """One file, mapped on loading."""

    def load(folder: Path, _: Tensors) -> Tensors:
        loaded: Tensors = torch.load(folder / "tensors.pt", mmap=True, weights_only=True)
        return loaded

    return Keeper(
        TORCH_SAVE,
        lambda folder, tensors: torch.save(dict(tensors), folder / "tensors.pt"),
        load,
    )


def torch_save_each() -> Keeper:
    """A file for each tensor."""

    def save(folder: Path, tensors: Tensors) -> None:
        for name, tensor in tensors.items():
            torch.save(tensor, folder / f"{name}.pt")

    def load(folder: Path, tensors: Tensors) -> Tensors:
        return {name: torch.load(folder / f"{name}.pt", weights_only=True) for name in tensors}

    return Keeper("torch.save, a file each", save, load)


def content_store() -> Keeper:
    """PyTorch's content store in its SHA-1 mode, which needs no compiler."""

    def save(folder: Path, tensors: Tensors) -> None:
        writer = _content_store().ContentStoreWriter(str(folder), stable_hash=True)
        for name, tensor in tensors.items():
            writer.write_tensor(name, tensor)

    def load(folder: Path, tensors: Tensors) -> Tensors:
        reader = _content_store().ContentStoreReader(str(folder))
        return {name: reader.read_tensor(name) for name in tensors}

    return Keeper("torch content store, SHA-1", save, load)


def distributed_checkpoint() -> Keeper:
    """`torch.distributed.checkpoint` in one process, into files."""

    def save(folder: Path, tensors: Tensors) -> None:
        from torch.distributed.checkpoint import state_dict_saver  # noqa: PLC0415 - slow

        with _quiet():
            state_dict_saver.save(dict(tensors), checkpoint_id=folder, no_dist=True)

    def load(folder: Path, tensors: Tensors) -> Tensors:
        from torch.distributed.checkpoint import state_dict_loader  # noqa: PLC0415 - slow

        target = {name: torch.empty_like(tensor) for name, tensor in tensors.items()}
        with _quiet():
            state_dict_loader.load(target, checkpoint_id=folder, no_dist=True)
        return target

    return Keeper("torch.distributed.checkpoint", save, load)


class _quiet(warnings.catch_warnings):  # noqa: N801 - used like a function
    """Without the advice that belongs to real runs, and goes between the lines of ours."""

    @override
    def __enter__(self) -> None:
        super().__enter__()
        warnings.simplefilter("ignore")
        logging.getLogger("torch.distributed.checkpoint").setLevel(logging.ERROR)


def _content_store() -> ModuleType:
    try:
        import torch.utils._content_store as store  # noqa: PLC0415 - a peer that may be missing
    except ImportError as error:
        raise UnavailableError(f"this PyTorch has no content store: {error}") from error
    return store
