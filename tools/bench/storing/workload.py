"""Tensors that are kept, and where."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from torchstash.tools.bench.storing.keeper import Tensors

WEIGHTS = 100
CHANGED_WEIGHTS = 10
_WEIGHT_SHAPE = (1832, 2048)
_SHARES = 20
_VIEWS = 16
_SMALL = 44


@dataclass(frozen=True)
class Workload:
    """What the contestants of one case keep.

    Attributes:
        tensors: By names that are file names too.
        folder: In which each contestant makes one of its own.
        changed: The next version of `tensors`.
    """

    tensors: Tensors
    folder: Path
    changed: Tensors

    def new_folder(self) -> Path:
        """An empty folder."""
        return Path(tempfile.mkdtemp(dir=self.folder))


def equal_tensors(count: int, size_bytes: int, folder: Path) -> Workload:
    """`count` tensors of `size_bytes` random bytes each."""
    tensors = {f"tensor-{i:06}": _random(size_bytes // 4) for i in range(count)}
    return Workload(tensors, folder, tensors)


def state_dict(folder: Path, *, scale: float = 1.0) -> Workload:
    """A state dict of 200 names, as models have them, and its next version.

    100 weights of 7.2 MiB in bfloat16, 20 of them under a second name (ties), 20 as equal clones,
    16 viewed by halves of their rows, and 44 tensors of 4 KiB: 1059 MiB by name, 716 MiB of
    different contents. The next version has 10 other weights.

    Args:
        folder: For the contestants.
        scale: Of the weights' rows: less, for tests.
    """
    rows, columns = max(2, int(_WEIGHT_SHAPE[0] * scale)), _WEIGHT_SHAPE[1]

    def weight() -> torch.Tensor:
        return _random(rows * columns // 2).view(torch.bfloat16).view(rows, columns)

    weights = [weight() for _ in range(WEIGHTS)]
    small = {f"small-{i:02}": _random(1024) for i in range(_SMALL)}
    versions = []
    for replaced in (0, CHANGED_WEIGHTS):
        current = [weight() for _ in range(replaced)] + weights[replaced:]
        tensors = {f"weight-{i:03}": each for i, each in enumerate(current)}
        tensors |= {f"tie-{i:02}": each for i, each in enumerate(current[:_SHARES])}
        tensors |= {f"clone-{i:02}": each.clone() for i, each in enumerate(current[-_SHARES:])}
        tensors |= {
            f"view-{i:02}": each[: rows // 2] for i, each in enumerate(current[30:][:_VIEWS])
        }
        versions.append(tensors | small)
    return Workload(versions[0], folder, versions[1])


MakeWork = Callable[[], Workload]


def unique_bytes(*versions: Tensors) -> int:
    """Of the different contents in all of `versions`; clones, ties and views count once."""
    found: dict[bytes, int] = {}
    for tensors in versions:
        for tensor in tensors.values():
            storage = tensor.untyped_storage()
            head = torch.empty(0, dtype=torch.uint8).set_(storage)[:64].numpy().tobytes()
            # Random bytes: a beginning is as good as the whole.
            found[head] = storage.nbytes()
    return sum(found.values())


def _random(words: int) -> torch.Tensor:
    return torch.randint(-(1 << 31), (1 << 31) - 1, (words,), dtype=torch.int32)
