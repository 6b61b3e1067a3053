"""Values as buffers: what callers may hand over, and what is filled piece by piece."""

import io

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


def whole_bytes(view: memoryview) -> bytes:
    """The bytes of a view. No copy where it is of all of a `bytes` object."""
    base = view.obj
    if type(base) is bytes and len(base) == view.nbytes:
        return base
    return view.tobytes()


class BytesToFill:
    """A `bytes` object whose size is known before its contents: filled in place, never copied.

    Attributes:
        view: What to fill.
    """

    def __init__(self, size_bytes: int) -> None:
        # CPython's BytesIO takes the object over where nobody else has it, and gives it back.
        self._file = io.BytesIO(bytes(size_bytes))
        self.view = self._file.getbuffer()

    def finish(self) -> bytes:
        """The object. The view can be used no more."""
        self.view.release()
        return self._file.getvalue()


class PartsToFill:
    """A value of a known size that comes piece by piece, and is to be two `bytes` objects.

    Attributes:
        received_bytes: How much has come. What came beyond the size is counted, and dropped.
    """

    def __init__(self, size_bytes: int, head_bytes: int) -> None:
        self._head = BytesToFill(min(head_bytes, size_bytes))
        self._rest = BytesToFill(max(size_bytes - head_bytes, 0))
        self.received_bytes = 0

    def add(self, piece: Buffer) -> None:
        """Take what comes next."""
        data = memoryview(piece)
        for part, offset in ((self._head, 0), (self._rest, len(self._head.view))):
            start = self.received_bytes - offset
            if 0 <= start < len(part.view):
                taken = data[: len(part.view) - start]
                part.view[start : start + len(taken)] = taken
                self.received_bytes += len(taken)
                data = data[len(taken) :]
        self.received_bytes += len(data)

    def finish(self) -> tuple[bytes, bytes]:
        """The two objects, the first of which has the `head_bytes` first bytes, or all."""
        return self._head.finish(), self._rest.finish()
