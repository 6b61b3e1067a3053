"""The store that `load_tensor` reads while a block runs."""

import contextlib
import os
from collections.abc import Iterator

from torchstash.content_store import ContentStoreReader
from torchstash.prims.current_reader import serve_from


@contextlib.contextmanager
def load_tensor_reader(loc: str | os.PathLike[str]) -> Iterator[None]:
    """Serves `load_tensor` from the content store at `loc` inside the `with` block.

    The innermost block of the thread or asynchronous task counts, and the outer one
    counts again after it. Each call of the operator reads into fresh storage: two
    results never alias, whatever the stored tensors shared.

    Args:
        loc: Folder of a content store.

    Raises:
        MissingStoreError: On entry, if there is no store at `loc`.
        ContentStoreError: On entry, if the store there cannot be read.
    """
    with ContentStoreReader(loc, cache=False) as reader:
        # A reader opens its store when it first looks something up.
        next(reader.names(), None)
        with serve_from(reader):
            yield
