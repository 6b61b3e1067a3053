"""Opens a content store for a command, and tells the user what is wrong with it."""

import contextlib
from collections.abc import Iterator

from torchstash.content_store import ContentStoreError, ContentStoreReader
from torchstash.tools.cli.errors import CommandError


@contextlib.contextmanager
def open_store(location: str) -> Iterator[ContentStoreReader]:
    """A reader of the store at `location`, which must exist; nothing is created.

    Raises:
        CommandError: For every error of the content store, with its message.
    """
    with told_errors(), ContentStoreReader(location) as reader:
        yield reader


@contextlib.contextmanager
def told_errors() -> Iterator[None]:
    """Turns every error of the content store into a `CommandError` with its message."""
    try:
        yield
    except ContentStoreError as error:
        raise CommandError(str(error)) from error
