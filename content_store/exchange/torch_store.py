"""A folder that `torch.utils._content_store.ContentStoreWriter` has written.

    storages/<hash>    a pickled storage
    tensors/<name>     a pickled tuple: dtype, hash, offset, sizes, strides, flags

Its hashes collide, depend on the device, and say nothing about damage (its default one is seeded
anew by each process): here they are names of files, and nothing is believed because of them. Every
view is checked against its storage; every pickle is read as data.
"""

import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import torch

from torchstash.content_store.errors import ForeignFileError
from torchstash.content_store.exchange.torch_file import load_torch_file
from torchstash.content_store.torch_internals import set_lazy_bits, untyped

_HASH: Final = re.compile(r"[0-9a-f]{1,128}")
_MAX_INT64: Final = (1 << 63) - 1


def read_torch_store(folder: Path) -> dict[str, torch.Tensor]:
    """Its tensors by name, in order. Those of one hash share a storage, as they do for its reader.

    Raises:
        ForeignFileError: It is no such folder, or a file in it is not what it should be.
        OSError: It cannot be read.
    """
    root = folder / "tensors"
    if not root.is_dir():
        raise ForeignFileError(
            f"{str(folder)!r} has no folder 'tensors': PyTorch's content store did not write it"
        )
    storages: dict[str, torch.UntypedStorage] = {}
    return {
        path.relative_to(root).as_posix(): _tensor(folder, path, storages) for path in _files(root)
    }


def _files(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            continue
        if not stat.S_ISREG(mode):
            raise ForeignFileError(f"{str(path)!r} is no plain file; nothing was taken")
        yield path


def _tensor(folder: Path, path: Path, storages: dict[str, torch.UntypedStorage]) -> torch.Tensor:
    match load_torch_file(path):
        case (torch.dtype() as dtype, str() as name, int() as offset, tuple() as sizes,
              tuple() as strides, dict() as flags):  # fmt: skip
            pass
        case _:
            raise ForeignFileError(f"{str(path)!r} does not describe a tensor")
    storage = storages.get(name)
    if storage is None:
        storage = storages[name] = _storage(folder, name)
    numbers = [offset, *sizes, *strides]
    if (
        len(sizes) != len(strides)
        or any(type(number) is not int or not 0 <= number <= _MAX_INT64 for number in numbers)
        or _end_bytes(offset, sizes, strides, dtype) > storage.nbytes()
    ):
        raise ForeignFileError(
            f"{str(path)!r} describes a tensor that leaves its storage of {storage.nbytes()} bytes"
        )
    if set(flags) - {"conj", "neg"} or not all(type(flag) is bool for flag in flags.values()):
        raise ForeignFileError(
            f"{str(path)!r} has flags that are unknown: {sorted(map(str, flags))}"
        )
    try:
        tensor = torch.empty(0, dtype=dtype).set_(storage, offset, sizes, strides)
    except (RuntimeError, TypeError) as error:
        raise ForeignFileError(f"{str(path)!r} describes no tensor: {error}") from error
    if any(flags.values()):
        set_lazy_bits(tensor, conj=flags.get("conj", False), neg=flags.get("neg", False))
    return tensor


def _end_bytes(
    offset: int, sizes: tuple[int, ...], strides: tuple[int, ...], dtype: torch.dtype
) -> int:
    if 0 in sizes:
        return 0
    last = offset + sum((size - 1) * step for size, step in zip(sizes, strides, strict=True))
    return (last + 1) * dtype.itemsize


def _storage(folder: Path, name: str) -> torch.UntypedStorage:
    if not _HASH.fullmatch(name):
        raise ForeignFileError(f"a tensor in {str(folder)!r} names the storage {name!r}: no hash")
    loaded = load_torch_file(folder / "storages" / name)
    if not isinstance(loaded, torch.storage.TypedStorage):
        raise ForeignFileError(f"the file of the storage {name} in {str(folder)!r} holds none")
    return untyped(loaded)
