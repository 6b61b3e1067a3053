"""One entry of a commit."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from typing_extensions import Buffer

from torchstash.cache.digest import Digest


@dataclass(frozen=True, slots=True)
class Slices:
    """Contents that come piece by piece, and only if the store lacks them.

    For what is dear to fetch or too large to hold: `read` is called when the contents are
    written, at most twice, and each slice is done with before the next one is asked for.
    """

    size_bytes: int
    read: Callable[[], Iterator[Buffer]]


@dataclass(frozen=True, slots=True)
class GivenFile:
    """Contents of more than 64 KiB in a file that the store takes over, without a copy.

    Args:
        path: Where `DiskBackend.partial_path` says: whole, read-only and, where the store is
            durable, synced. It is gone when the commit has ended, however it ended.
        size_bytes: Its size.
    """

    path: str
    size_bytes: int


class Put(NamedTuple):
    """Keep `data`, any C-contiguous buffer, under `key`.

    Args:
        key: None for contents that only `links` of a later put of the same commit lead to.
        data: `Slices` and a `GivenFile` need a `digest`. None, with a `digest`: contents that an
            earlier put of the same commit gave, or that the store has.
        digest: That of the data, from a caller who knows it: believed, the data are not hashed
            again.
        note: A few bytes, up to a page or so, that are read with the entry in one look-up. They
            belong to the key, not to the contents.
        links: Digests of contents, in the store or in this commit, that are kept for as long as
            these are. Equal contents must have equal links.
    """

    key: str | None
    data: Buffer | Slices | GivenFile | None
    digest: Digest | None = None
    note: bytes | None = None
    links: Sequence[Digest] = ()
