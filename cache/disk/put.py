"""One entry of a commit."""

from dataclasses import dataclass

from typing_extensions import Buffer

from torchstash.cache.digest import Digest


@dataclass(frozen=True, slots=True)
class Put:
    """Keep `data`, any C-contiguous buffer, under `key`.

    A `digest` that the caller knows already is believed: the data are not hashed again.
    """

    key: str
    data: Buffer
    digest: Digest | None = None
