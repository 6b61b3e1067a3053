"""What a salvage has to tell."""

from dataclasses import dataclass
from pathlib import Path

from torchstash.cache.digest import Digest


@dataclass(frozen=True, slots=True)
class SalvageReport:
    """What came back, and what did not."""

    # Keys that are there again, with all that they need.
    kept_keys: tuple[str, ...]
    # Contents whose digest was found to be right.
    contents: int
    # Keys that could be read, and whose contents, or what these need, are gone or in doubt.
    lost_keys: tuple[str, ...]
    # Contents that no key led to, and that are kept under keys of their own now.
    nameless: tuple[Digest, ...]
    # Pages of the catalogue that could not be read, or not in full: names may have been there.
    damaged_pages: int
    # The damaged catalogue.
    kept_aside: Path
