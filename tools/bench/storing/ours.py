"""Torchstash: the content store, tensor by tensor, all at once, and as a snapshot."""

from pathlib import Path

from torchstash.content_store import ContentStoreReader, ContentStoreWriter
from torchstash.tools.bench.storing.keeper import Keeper, Tensors

ONE_BY_ONE = "torchstash, one by one"
AT_ONCE = "torchstash, write_tensors"
UNVERIFIED = "torchstash, write_tensors, unverified"
SNAPSHOT = "torchstash, save_state_dict"
SNAPSHOT_VERIFIED = "torchstash, save_state_dict, verified"

_NAME = "snapshot"


def one_by_one() -> Keeper:
    """`write_tensor` and `read_tensor`, a commit for each tensor."""

    def save(folder: Path, tensors: Tensors) -> None:
        with ContentStoreWriter(folder) as writer:
            for name, tensor in tensors.items():
                writer.write_tensor(name, tensor)

    def load(folder: Path, tensors: Tensors) -> Tensors:
        with ContentStoreReader(folder) as reader:
            return {name: reader.read_tensor(name) for name in tensors}

    return Keeper(ONE_BY_ONE, save, load)


def at_once(name: str = AT_ONCE, *, verify: bool = True) -> Keeper:
    """`write_tensors` and `read_tensors`, one commit."""

    def save(folder: Path, tensors: Tensors) -> None:
        with ContentStoreWriter(folder) as writer:
            writer.write_tensors(tensors)

    def load(folder: Path, tensors: Tensors) -> Tensors:
        with ContentStoreReader(folder, verify=verify) as reader:
            return reader.read_tensors(tensors)

    return Keeper(name, save, load)


def snapshot(name: str = SNAPSHOT, *, verify: bool = False) -> Keeper:
    """`save_state_dict` and `load_state_dict`; like its peers, loading trusts the medium."""

    def save(folder: Path, tensors: Tensors) -> None:
        with ContentStoreWriter(folder) as writer:
            writer.save_state_dict(_NAME, dict(tensors))

    def load(folder: Path, _: Tensors) -> Tensors:
        with ContentStoreReader(folder, verify=verify) as reader:
            loaded: Tensors = reader.load_state_dict(_NAME)
            return loaded

    return Keeper(name, save, load)
