"""A chain of deltas: where it begins, and what is applied after that."""

from dataclasses import dataclass
from typing import Final

from torchstash.cache.digest import Digest

# Each step costs every load its decompression. Beyond, a delta is taken against the root alone:
# after eight steps of 1 % it has a twelfth of the bytes, and the chain is short again.
MAX_STEPS_WRITTEN: Final = 8
MAX_STEPS_READ: Final = 64


@dataclass(frozen=True, slots=True)
class DeltaStep:
    """A delta as contents that the store keeps."""

    digest: Digest
    size_bytes: int


@dataclass(frozen=True, slots=True)
class DeltaChain:
    """The storage that is `root` with every one of `steps` applied, of which there is one."""

    root: Digest
    steps: tuple[DeltaStep, ...]
