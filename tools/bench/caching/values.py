"""What caches are asked to keep."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Values:
    """Many values of one size, made by each contestant for itself."""

    size_bytes: int
    # Under which each store makes a folder of its own.
    folder: Path
