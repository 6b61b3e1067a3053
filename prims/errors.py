"""The errors of this layer.

    PrimsError
    ├── GeometryError (ValueError)          a size and a stride that describe no tensor
    ├── MismatchError (ValueError)          the stored tensor is not the one that was asked for
    │   ├── SizeMismatchError
    │   ├── StrideMismatchError
    │   └── DeviceMismatchError
    ├── ConversionError (TypeError)         the stored dtype does not convert to the asked one
    └── UnsupportedDtypeError (TypeError)   no stand-in data exists for the asked dtype

A name that the store lacks, or bytes that it can no longer vouch for, are the
content store's errors: they reach the caller of the operator unchanged.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from typing_extensions import override


class PrimsError(Exception):
    """Base of every error that this layer raises itself."""


class GeometryError(PrimsError, ValueError):
    """A size and a stride that describe no tensor.

    Attributes:
        name: Name of the tensor that was asked for.
        size: What was asked, elements.
        stride: What was asked, elements.
        reason: Which rule they break.
    """

    def __init__(self, name: str, size: Sequence[int], stride: Sequence[int], reason: str) -> None:
        super().__init__(name, size, stride, reason)
        self.name = name
        self.size = list(size)
        self.stride = list(stride)
        self.reason = reason

    @override
    def __str__(self) -> str:
        return (
            f"load_tensor({self.name!r}): size {self.size} with stride {self.stride} describes "
            f"no tensor: {self.reason}"
        )


class MismatchError(PrimsError, ValueError):
    """The stored tensor differs from the asked one in what is never converted.

    Attributes:
        name: Name of the stored tensor.
        asked: What the caller asked for.
        found: What the store holds under that name.
    """

    what: ClassVar[str] = "tensor"

    def __init__(self, name: str, asked: object, found: object) -> None:
        super().__init__(name, asked, found)
        self.name = name
        self.asked = asked
        self.found = found

    @override
    def __str__(self) -> str:
        return (
            f"load_tensor({self.name!r}): asked for {self.what} {self.asked}, found {self.found}; "
            f"ask for what `ContentStoreReader.read_tensor_metadata({self.name!r})` says, or "
            f"write the tensor again"
        )


class SizeMismatchError(MismatchError):
    """The stored tensor has another size."""

    what: ClassVar[str] = "size"


class StrideMismatchError(MismatchError):
    """The stored tensor has another stride."""

    what: ClassVar[str] = "stride"


class DeviceMismatchError(MismatchError):
    """The reader placed the tensor on another device than it was told."""

    what: ClassVar[str] = "device"

    @override
    def __str__(self) -> str:
        return (
            f"load_tensor({self.name!r}): the reader was told {self.asked} and gave a tensor on "
            f"{self.found}; a reader must place the tensor where `read_tensor` is told to"
        )


class ConversionError(PrimsError, TypeError):
    """The stored dtype does not convert to the asked one.

    Attributes:
        name: Name of the stored tensor.
        asked: The dtype that the caller asked for.
        found: The dtype that the store holds under that name.
    """

    def __init__(self, name: str, asked: torch.dtype, found: torch.dtype) -> None:
        super().__init__(name, asked, found)
        self.name = name
        self.asked = asked
        self.found = found

    @override
    def __str__(self) -> str:
        return (
            f"load_tensor({self.name!r}): asked for {self.asked}, found {self.found}, and PyTorch "
            f"does not convert one to the other; ask for {self.found} and convert the result"
        )


class UnsupportedDtypeError(PrimsError, TypeError):
    """No stand-in data exists for the asked dtype.

    Attributes:
        name: Name of the tensor that was asked for.
        dtype: What was asked.
    """

    def __init__(self, name: str, dtype: torch.dtype) -> None:
        super().__init__(name, dtype)
        self.name = name
        self.dtype = dtype

    @override
    def __str__(self) -> str:
        return (
            f"load_tensor({self.name!r}): no stand-in data for {self.dtype}: its values mean "
            f"nothing without a quantizer, which the operator cannot be told; open the store that "
            f"holds the tensor with `load_tensor_reader`"
        )
