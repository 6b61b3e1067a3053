"""Where the elements of a strided tensor lie in memory.

Element `[i, j, ...]` lies `i * stride[0] + j * stride[1] + ...` elements
after the first one. The *span* is the stretch from the first element to the last:
one-dimensional, contiguous, and enough to rebuild the tensor with `as_strided`,
also where elements overlap (stride 0 or smaller than the row) or leave gaps.
"""

from collections.abc import Sequence

from torchstash.prims.errors import GeometryError


def check_geometry(name: str, size: Sequence[int], stride: Sequence[int]) -> None:
    """Raises `GeometryError` unless `size` and `stride` describe a tensor."""
    if len(size) != len(stride):
        raise GeometryError(name, size, stride, f"{len(size)} sizes, {len(stride)} strides")
    for what, values in (("size", size), ("stride", stride)):
        if any(value < 0 for value in values):
            raise GeometryError(name, size, stride, f"a negative {what}")


def span_elements(size: Sequence[int], stride: Sequence[int]) -> int:
    """Elements from the first to the last one of a tensor, both included."""
    if 0 in size:
        return 0
    return 1 + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
