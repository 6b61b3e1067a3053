"""Tensors of foreign files into a store: all of a file in one commit, or nothing."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from torchstash.content_store.errors import ForeignFileError, NotInStoreError
from torchstash.content_store.exchange.flattening import tensors_alone
from torchstash.content_store.exchange.safetensors_file import map_safetensors
from torchstash.content_store.exchange.torch_file import load_torch_file
from torchstash.content_store.exchange.torch_store import read_torch_store
from torchstash.content_store.writer import ContentStoreWriter

_TORCH_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt")


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What was taken.

    Attributes:
        names: Of the tensors that were written, or of the one snapshot.
        metadata: What a `.safetensors` file says of itself, which no store keeps.
    """

    names: tuple[str, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)


def import_file(
    location: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    snapshot: str | None = None,
    names: Iterable[str] | None = None,
    prefix: str = "",
    tensors_only: bool = False,
) -> ImportReport:
    """Writes what a file holds to the store at `location`, which is made if there is none.

    Taken are `.safetensors` files, files of `torch.save` (`.pt`, `.pth`, `.bin`, `.ckpt`), and
    folders of PyTorch's own content store. Bytes go from the mapped file to the store, and are
    never all in memory. Of a `.pt` file nothing is run. Devices are not kept: the tensors are the
    CPU's.

    Args:
        location: The folder of the store.
        path: The file, or the folder.
        snapshot: Keep all as one state dict of this name: that of a `.pt` file as it is, of others
            a dict of tensors by name. None: keep each tensor under its name in the file; in nested
            containers, keys joined with dots.
        names: Only these tensors, by their names in the file; None: all.
        prefix: Put before each name. Not with `snapshot`.
        tensors_only: Leave out values that are no tensors, where they could not be kept.

    Raises:
        ForeignFileError: The file is none of these, or contradicts itself. The store is as it was.
        NotInStoreError: The file has no tensor of one of the `names`.
        UnsupportedError: Something in it cannot be kept exactly; says where.
        StoreUnavailableError: The store cannot be written.
        OSError: The file cannot be read.
    """
    if snapshot is not None and prefix:
        raise ValueError("a prefix is for the names of tensors; a snapshot has a name of its own")
    tree, metadata = _read(Path(path))
    tensors: dict[str, torch.Tensor] = {}
    if names is not None or snapshot is None:
        only = tensors_only or names is not None
        tensors = tensors_alone(tree, repr(str(path)), tensors_only=only)
        tensors = tensors if names is None else _chosen(tensors, names, path)
        tree = tensors
    with ContentStoreWriter(location) as writer:
        if snapshot is not None:
            writer.save_state_dict(snapshot, tree)
            return ImportReport((snapshot,), metadata)
        written = {prefix + name: tensor for name, tensor in tensors.items()}
        writer.write_tensors(written)
        return ImportReport(tuple(written), metadata)


def _read(path: Path) -> tuple[object, dict[str, str]]:
    if path.is_dir():
        return read_torch_store(path), {}
    if path.suffix == ".safetensors":
        return map_safetensors(path)
    if path.suffix in _TORCH_SUFFIXES:
        return load_torch_file(path), {}
    path.stat()
    raise ForeignFileError(
        f"{str(path)!r} is none of the files that can be imported: .safetensors, "
        f"{', '.join(_TORCH_SUFFIXES)}, or a folder of PyTorch's content store"
    )


def _chosen(
    tensors: dict[str, torch.Tensor], names: Iterable[str], path: str | os.PathLike[str]
) -> dict[str, torch.Tensor]:
    chosen = {}
    for name in names:
        if name not in tensors:
            raise NotInStoreError(f"no tensor {name!r} in {str(path)!r}; check the name")
        chosen[name] = tensors[name]
    return chosen
