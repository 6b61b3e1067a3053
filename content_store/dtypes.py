"""Element types by the names that `TensorMetadata` gives them.

The names are PyTorch's own without the module. The table is read from the
installed PyTorch, so a type that a later release adds is known as soon as it is.

Types of two or more elements per byte come in two kinds: `float4_e2m1fn_x2` and
`bits4x2` count bytes as elements; `quint4x2` and `quint2x4` count the elements
themselves, and pad each row to whole bytes.
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Final

import torch

from torchstash.content_store.errors import UnsupportedDtypeError

_BY_NAME: Final[Mapping[str, torch.dtype]] = {
    str(value).removeprefix("torch."): value
    for value in vars(torch).values()
    if isinstance(value, torch.dtype)
}
_NAMES: Final[Mapping[torch.dtype, str]] = {dtype: name for name, dtype in _BY_NAME.items()}

_ELEMENTS_PER_BYTE: Final[Mapping[torch.dtype, int]] = {torch.quint4x2: 2, torch.quint2x4: 4}
_QUANTIZED: Final = frozenset(
    {torch.qint8, torch.quint8, torch.qint32, torch.quint4x2, torch.quint2x4}
)


def name_of(dtype: torch.dtype) -> str:
    """The name that metadata records: "float32", "float8_e4m3fn", "quint8"."""
    return _NAMES[dtype]


def dtype_named(name: str) -> torch.dtype:
    """The element type of that name.

    Raises:
        UnsupportedDtypeError: The installed PyTorch has no such type.
    """
    dtype = _BY_NAME.get(name)
    if dtype is None:
        raise UnsupportedDtypeError(
            f"the tensor has dtype {name!r}, which PyTorch {torch.__version__} does not have; "
            "read it with the release that it was written with, or a newer one"
        )
    return dtype


def is_quantized(dtype: torch.dtype) -> bool:
    """Whether elements of that type need a quantizer to mean anything."""
    return dtype in _QUANTIZED


def is_packed(dtype: torch.dtype) -> bool:
    """Whether one byte holds several elements, so that strides cannot count them."""
    return dtype in _ELEMENTS_PER_BYTE


def packed_size_bytes(dtype: torch.dtype, sizes: Sequence[int]) -> int:
    """Bytes of a whole contiguous tensor of a packed type: each row fills whole bytes."""
    row = sizes[-1] if sizes else 1
    return prod(sizes[:-1]) * -(-row // _ELEMENTS_PER_BYTE[dtype])
