"""The BLAKE3 library, with threads for large contents, in a forked child too.

The library keeps one pool of threads per process (`AUTO`). A fork copies the pool without its
threads, and a child that handed it work would wait for ever, so there each large hash starts
threads of its own, which costs it some tens of microseconds.
"""

import os
from typing import Final

from blake3 import blake3

# From here on the library's threads pay for themselves (measured).
THREADS_FROM_BYTES: Final = 8 << 20


class _Threads:
    """How many threads a large hash may use in this process."""

    def __init__(self) -> None:
        self.count = blake3.AUTO
        os.register_at_fork(after_in_child=self._in_child)

    def _in_child(self) -> None:
        self.count = os.cpu_count() or 1


_THREADS: Final = _Threads()


def hash_whole(contents: bytes | memoryview) -> bytes:
    """The 32 bytes of the digest of contiguous bytes. No copy; releases the interpreter's lock."""
    if len(contents) < THREADS_FROM_BYTES:
        return blake3(contents).digest()
    return blake3(contents, max_threads=_THREADS.count).digest()


def hasher(size_bytes: int) -> blake3:
    """A hasher for contents of so many bytes that come in slices."""
    return blake3(max_threads=_THREADS.count if size_bytes >= THREADS_FROM_BYTES else 1)
