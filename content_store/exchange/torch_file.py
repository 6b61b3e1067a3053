"""`.pt` files: read as data, never as programs."""

import os
from pathlib import Path
from typing import Any

import torch

from torchstash.content_store.errors import ForeignFileError


def load_torch_file(path: str | os.PathLike[str]) -> Any:  # noqa: ANN401 - the file knows
    """What `torch.save` wrote to a file, on the CPU, its storages mapped copy-on-write.

    PyTorch's restricted unpickler reads it (`weights_only=True`): a file that asks for anything but
    tensors, containers and plain values is refused. A boundary: whatever the unpickler raises over
    a damaged or hostile file becomes one error.

    Raises:
        ForeignFileError: It is no such file, or asks for more.
        OSError: It cannot be read.
    """
    Path(path).stat()
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except OSError:
        raise
    except Exception as error:
        raise ForeignFileError(
            f"{str(path)!r} cannot be read as tensors and plain values alone, in the format that "
            f"torch.save has had since PyTorch 1.6: {error}"
        ) from error
