"""Values as buffers: what callers may hand over, seen as one flat run of bytes."""

from typing_extensions import Buffer


def flat_view(data: Buffer) -> memoryview:
    """The bytes of a C-contiguous buffer, without a copy where Python can express that.

    Buffers of a format that `memoryview` cannot cast (structured arrays, ctypes arrays) are copied.

    Raises:
        TypeError: `data` is no buffer, or is not C-contiguous.
    """
    view = memoryview(data)
    if view.format == "B" and view.ndim == 1 and view.c_contiguous:
        return view
    if not view.c_contiguous:
        raise TypeError("a value must be a C-contiguous buffer; make a contiguous copy first")
    if view.nbytes == 0:
        return memoryview(b"")
    try:
        return view.cast("B")
    except TypeError:
        return memoryview(view.tobytes())
