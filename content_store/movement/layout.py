"""Where a store's contents and names lie in a backend that is not a store itself.

    store/1/contents/<digest>             contents of up to 8 MiB
    store/1/contents/<digest>/<number>    larger ones in parts of 8 MiB, counted from 0
    store/1/tensors/<name>                records (`record.py`): what a name leads to
    store/1/snapshots/<name>
    store/1/storages/<digest>
    store/1/names                         an index of names (`name_index.py`), where it is needed

Contents are immutable: whoever puts them puts the same bytes under the same key. A record is put
after all that it leads to. The part's size belongs to the layout, whose version is in each key:
another one has keys of its own. Contents of no bytes are not kept at all. docs/movement.md tells
what follows from this.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from torchstash.cache.digest import Digest
from torchstash.content_store.names import SNAPSHOT_PREFIX, STORAGE_PREFIX, TENSOR_PREFIX

PART_BYTES: Final = 8 << 20
"""Every value is at most this large."""

# The kinds of names that a store has.
NAME_PREFIXES: Final = (TENSOR_PREFIX, SNAPSHOT_PREFIX, STORAGE_PREFIX)

_ROOT: Final = "store/1/"


@dataclass(frozen=True, slots=True)
class Part:
    """A run of bytes of some contents, and the key of the value that holds it."""

    key: str
    offset_bytes: int
    size_bytes: int


def record_key(key: str) -> str:
    """Where the record of a store's key lies."""
    return _ROOT + key


def key_of_record(key: str) -> str:
    """The inverse of `record_key`."""
    return key.removeprefix(_ROOT)


INDEX_KEY: Final = f"{_ROOT}names"
"""Where the root of the index of names lies, if there is one (`name_index.py`)."""


def shard_key(shard: str) -> str:
    """Where a shard of the index of names lies."""
    return f"{INDEX_KEY}/{shard}"


def spare_key(key: str) -> str:
    """Where a value of the index lies for the time that it is written in."""
    return f"{key}/spare"


def contents_key(digest: Digest) -> str:
    """Where contents of up to a part lie."""
    return f"{_ROOT}contents/{digest.hex}"


def part_key(digest: Digest, number: int) -> str:
    """Where a part of larger contents lies."""
    return f"{contents_key(digest)}/{number}"


def parts_of(digest: Digest, size_bytes: int) -> Iterator[Part]:
    """The values that hold contents, in order; none for no bytes."""
    whole = contents_key(digest)
    if 0 < size_bytes <= PART_BYTES:
        yield Part(whole, 0, size_bytes)
        return
    for offset_bytes in range(0, size_bytes, PART_BYTES):
        number = offset_bytes // PART_BYTES
        yield Part(
            part_key(digest, number), offset_bytes, min(PART_BYTES, size_bytes - offset_bytes)
        )


def described(key: str) -> str:
    """What a store's key names, for messages: "the tensor 'x'"."""
    for prefix, kind in zip(NAME_PREFIXES, ("tensor", "snapshot", "storage"), strict=True):
        if key.startswith(prefix):
            return f"the {kind} {key.removeprefix(prefix)!r}"
    return f"the entry {key!r}"
