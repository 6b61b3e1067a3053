"""A stored tensor as an operator, so that a traced graph can name its inputs.

Importing this package registers `torch.ops.debugprims.load_tensor`.
"""

from torchstash.prims.errors import (
    ConversionError,
    DeviceMismatchError,
    GeometryError,
    MismatchError,
    PrimsError,
    SizeMismatchError,
    StrideMismatchError,
    UnsupportedDtypeError,
)
from torchstash.prims.operation import load_tensor
from torchstash.prims.reader import load_tensor_reader

__all__ = [
    "ConversionError",
    "DeviceMismatchError",
    "GeometryError",
    "MismatchError",
    "PrimsError",
    "SizeMismatchError",
    "StrideMismatchError",
    "UnsupportedDtypeError",
    "load_tensor",
    "load_tensor_reader",
]
