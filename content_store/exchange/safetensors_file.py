"""`.safetensors` files: tensors mapped out of one, and one written."""

import mmap
import os
from pathlib import Path

import torch

from torchstash.content_store.errors import ForeignFileError
from torchstash.content_store.exchange.safetensors_header import (
    LENGTH_BYTES,
    MAX_HEADER_BYTES,
    HeaderTensor,
    parse_header,
)


def map_safetensors(
    path: str | os.PathLike[str],
) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The tensors of a file, each over a storage of its own, and the file's metadata.

    The bytes stay in the file, which must not shrink while they are used, until they are touched;
    they are mapped copy-on-write.

    Raises:
        ForeignFileError: It is no such file, or contradicts itself. Nothing of it was taken.
        UnsupportedDtypeError: This PyTorch lacks an element type.
        OSError: It cannot be read.
    """
    with Path(path).open("rb", 0) as file:
        size_bytes = os.fstat(file.fileno()).st_size
        if size_bytes < LENGTH_BYTES:
            raise ForeignFileError(f"{str(path)!r} has {size_bytes} bytes: no safetensors file")
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    header_bytes = int.from_bytes(mapping[:LENGTH_BYTES], "little")
    begin = LENGTH_BYTES + header_bytes
    if header_bytes > MAX_HEADER_BYTES or begin > size_bytes:
        raise ForeignFileError(
            f"{str(path)!r} is no safetensors file: it begins with a length of {header_bytes} bytes"
        )
    try:
        tensors, metadata = parse_header(mapping[LENGTH_BYTES:begin], size_bytes - begin)
    except ForeignFileError as error:
        raise ForeignFileError(f"the safetensors file {str(path)!r} is wrong: {error}") from error
    return {name: _mapped(mapping, begin, each) for name, each in tensors.items()}, metadata


def _mapped(mapping: mmap.mmap, begin: int, described: HeaderTensor) -> torch.Tensor:
    count = described.end_bytes - described.begin_bytes
    if count == 0:
        return torch.empty(described.sizes, dtype=described.dtype)
    octets = torch.frombuffer(
        mapping, dtype=torch.uint8, count=count, offset=begin + described.begin_bytes
    )
    return octets.view(described.dtype).view(described.sizes)
