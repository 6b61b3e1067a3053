"""The bytes of tensors, and plain files of them: the limit of the machine."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from blake3 import blake3

from torchstash.content_store import hash_storage
from torchstash.tools.bench.errors import WrongResultError
from torchstash.tools.bench.storing.keeper import Keeper, Tensors

PLAIN = "plain write and read"
HASHED = "BLAKE3, then plain write"
HASH_ONLY = "BLAKE3"
BUSY = "BLAKE3 and a write of what is new, all cores"

_FILE = "tensors.bin"


def bytes_of(tensor: torch.Tensor) -> memoryview:
    """The elements in order, as bytes; copied only where they do not lie so."""
    flat = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
    return flat.numpy().data


def tensor_of(data: bytes | bytearray, like: torch.Tensor) -> torch.Tensor:
    """A tensor over a copy of the bytes, of the type and shape of `like`."""
    flat = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    return flat.view(like.dtype).reshape(like.shape)


def plain() -> Keeper:
    """All bytes one after another in one file, read into fresh memory."""
    return Keeper(PLAIN, _save, _load, is_ceiling=True)


def hashed() -> Keeper:
    """Each storage hashed with all threads, and then written like `plain`."""

    def save(folder: Path, tensors: Tensors) -> None:
        for tensor in tensors.values():
            hash_storage(tensor.untyped_storage())
        _save(folder, tensors)

    return Keeper(HASHED, save, _load, is_ceiling=True)


def hash_only() -> Keeper:
    """Each storage hashed with all threads, and nothing kept. Both calls."""

    def load(_: Path, tensors: Tensors) -> Tensors:
        for tensor in tensors.values():
            hash_storage(tensor.untyped_storage())
        return dict(tensors)

    return Keeper(HASH_ONLY, load, load, is_ceiling=True)


def busy() -> Keeper:
    """What a store that hashes has to do at least, with nothing in between.

    Every storage is hashed once, and what the folder lacks is written to a file of its own. Each
    core does that to one storage after another, the largest first, so that none is ever idle.
    """

    def save(folder: Path, tensors: Tensors) -> None:
        storages = sorted(_storages(tensors), key=lambda storage: -storage.nbytes())
        with ThreadPoolExecutor(os.cpu_count()) as cores:
            for _ in cores.map(lambda storage: _keep(folder, storage), storages):
                pass

    def load(folder: Path, tensors: Tensors) -> Tensors:
        found = {}
        for name, tensor in tensors.items():
            data = bytearray((folder / _digest(tensor.untyped_storage())).read_bytes())
            storage = torch.frombuffer(data, dtype=torch.uint8).untyped_storage()
            place = tensor.storage_offset(), tensor.shape, tensor.stride()
            found[name] = torch.empty(0, dtype=tensor.dtype).set_(storage, *place)
        return found

    return Keeper(BUSY, save, load, is_ceiling=True)


def _storages(tensors: Tensors) -> list[torch.UntypedStorage]:
    """Each once."""
    storages = [tensor.untyped_storage() for tensor in tensors.values()]
    return list({storage.data_ptr(): storage for storage in storages}.values())


def _octets(storage: torch.UntypedStorage) -> memoryview:
    return torch.empty(0, dtype=torch.uint8).set_(storage).numpy().data


def _digest(storage: torch.UntypedStorage) -> str:
    return blake3(_octets(storage)).hexdigest()


def _keep(folder: Path, storage: torch.UntypedStorage) -> None:
    try:
        file = (folder / _digest(storage)).open("xb", buffering=0)
    except FileExistsError:
        return
    with file:
        rest = _octets(storage)
        while rest:
            rest = rest[file.write(rest) :]


def _save(folder: Path, tensors: Tensors) -> None:
    with (folder / _FILE).open("wb", buffering=0) as file:
        for tensor in tensors.values():
            rest = bytes_of(tensor)
            while rest:
                rest = rest[file.write(rest) :]


def _load(folder: Path, tensors: Tensors) -> Tensors:
    found = {}
    with (folder / _FILE).open("rb", buffering=0) as file:
        for name, tensor in tensors.items():
            fresh = torch.empty(tensor.shape, dtype=tensor.dtype)
            rest = bytes_of(fresh)
            while rest:
                count = file.readinto(rest)
                if not count:
                    raise WrongResultError(f"{_FILE} ended within {name}")
                rest = rest[count:]
            found[name] = fresh
    return found


def sync_all(folder: Path) -> None:
    """Waits until every file and folder in there is on the medium."""
    for parent, _, files in os.walk(folder):
        for name in (*files, "."):
            descriptor = os.open(os.path.join(parent, name), os.O_RDONLY)  # noqa: PTH118
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
