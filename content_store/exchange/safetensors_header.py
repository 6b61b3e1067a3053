"""The header of a `.safetensors` file, read as strictly as it is written.

    bytes 0-7      length of the header, little-endian
    then           the header, a JSON object: for each tensor "dtype", "shape" and "data_offsets"
                   (begin and end in what follows the header); under "__metadata__" text by text
    then           the bytes of the tensors, row-major and little-endian

The format is that of github.com/huggingface/safetensors. As its own library does, this refuses
headers over 100 MB, and bytes that belong to no tensor or to two. A library is not needed for that
much, and ours says which tensor is wrong.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Final

import torch

from torchstash.content_store.dtypes import dtype_named
from torchstash.content_store.errors import ForeignFileError, UnsupportedDtypeError

MAX_HEADER_BYTES: Final = 100_000_000
LENGTH_BYTES: Final = 8
METADATA: Final = "__metadata__"

# By PyTorch's names: one that this PyTorch lacks is no error unless a file has it.
_DTYPES: Final[Mapping[str, str]] = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "U32": "uint32",
    "I32": "int32",
    "U64": "uint64",
    "I64": "int64",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "C64": "complex64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2": "float8_e5m2",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
}
_NAMES: Final[Mapping[str, str]] = {ours: theirs for theirs, ours in _DTYPES.items()}


@dataclass(frozen=True, slots=True)
class HeaderTensor:
    """A tensor as the header describes it; offsets count from the end of the header."""

    dtype: torch.dtype
    sizes: tuple[int, ...]
    begin_bytes: int
    end_bytes: int


def format_name(dtype: torch.dtype) -> str | None:
    """What the format calls an element type; None: it has none such."""
    return _NAMES.get(str(dtype).removeprefix("torch."))


def parse_header(header: bytes, data_bytes: int) -> tuple[dict[str, HeaderTensor], dict[str, str]]:
    """The tensors by name, in the order of their bytes, and the file's metadata.

    Args:
        header: The JSON.
        data_bytes: How many bytes follow it.

    Raises:
        ForeignFileError: It contradicts itself or the file; says where.
        UnsupportedDtypeError: This PyTorch lacks an element type.
    """
    try:
        parsed = json.loads(header, object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        raise ForeignFileError(f"its header is no JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise ForeignFileError("its header is no JSON object")
    metadata = parsed.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ForeignFileError(f"its {METADATA} is no text by text")
    tensors = {name: _tensor(name, described) for name, described in parsed.items()}
    ordered = dict(
        sorted(tensors.items(), key=lambda pair: (pair[1].begin_bytes, pair[1].end_bytes))
    )
    _require_tiling(list(ordered.items()), data_bytes)
    return ordered, metadata


def write_header(
    tensors: Mapping[str, tuple[str, tuple[int, ...], int]], metadata: Mapping[str, str]
) -> bytes:
    """The header of a file, its length before it.

    Args:
        tensors: By name the format's dtype, the sizes and the number of bytes, in their order.
        metadata: Text by text.
    """
    described: dict[str, object] = {METADATA: dict(metadata)} if metadata else {}
    offset_bytes = 0
    for name, (dtype, sizes, size_bytes) in tensors.items():
        offsets = [offset_bytes, offset_bytes + size_bytes]
        described[name] = {"dtype": dtype, "shape": list(sizes), "data_offsets": offsets}
        offset_bytes += size_bytes
    text = json.dumps(described, separators=(",", ":")).encode()
    # As the format's own library pads it, so that elements lie where their size divides.
    text += b" " * (-len(text) % LENGTH_BYTES)
    return len(text).to_bytes(LENGTH_BYTES, "little") + text


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _tensor(name: str, described: object) -> HeaderTensor:
    match described:
        case {"dtype": str() as dtype, "shape": list() as shape, "data_offsets": [begin, end]}:
            pass
        case _:
            raise ForeignFileError(f"its tensor {name!r} has no dtype, shape and data_offsets")
    numbers = [*shape, begin, end]
    if any(type(number) is not int or not 0 <= number < 1 << 63 for number in numbers):
        raise ForeignFileError(f"its tensor {name!r} has a shape or offsets that are no sizes")
    if dtype not in _DTYPES:
        raise UnsupportedDtypeError(
            f"its tensor {name!r} has the dtype {dtype!r}, for which PyTorch has no whole elements"
        )
    kind = dtype_named(_DTYPES[dtype])
    if end - begin != prod(shape) * kind.itemsize:
        raise ForeignFileError(
            f"its tensor {name!r} of {dtype} and shape {shape} has {end - begin} bytes instead of "
            f"{prod(shape) * kind.itemsize}"
        )
    return HeaderTensor(kind, tuple(shape), begin, end)


def _require_tiling(tensors: Sequence[tuple[str, HeaderTensor]], data_bytes: int) -> None:
    """Each byte must belong to one tensor: aliases are not the format's, and gaps hide things."""
    for (before, first), (name, second) in pairwise(tensors):
        if second.begin_bytes < first.end_bytes:
            raise ForeignFileError(f"its tensors {before!r} and {name!r} overlap")
        if second.begin_bytes > first.end_bytes:
            raise ForeignFileError(f"between its tensors {before!r} and {name!r} lie other bytes")
    begin = tensors[0][1].begin_bytes if tensors else 0
    end = tensors[-1][1].end_bytes if tensors else 0
    if begin != 0 or end != data_bytes:
        raise ForeignFileError(
            f"its tensors take bytes {begin} to {end}, and it has {data_bytes} bytes for them"
        )
