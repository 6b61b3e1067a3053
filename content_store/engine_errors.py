"""Errors of the disk engine as errors of this layer."""

from pathlib import Path

from torchstash.cache.errors import (
    BackendCorruptError,
    BackendMissingError,
    CacheError,
    CorruptEntryError,
    InvalidKeyError,
)
from torchstash.content_store.errors import (
    ContentStoreError,
    CorruptMetadataError,
    CorruptStoreError,
    InvalidNameError,
    MissingStoreError,
    StoreUnavailableError,
)


class store_errors:  # noqa: N801 - used like a function
    """Raises what the engine of the store at `location` raises as a `ContentStoreError`.

    A class, not a generator: it surrounds every read and write of a small tensor.
    """

    __slots__ = ("_location",)

    def __init__(self, location: Path) -> None:
        self._location = location

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, CacheError):
            raise _translated(self._location, error) from error


def _translated(location: Path, error: CacheError) -> ContentStoreError:
    if isinstance(error, BackendMissingError):
        return MissingStoreError(f"no content store: {error}")
    if isinstance(error, InvalidKeyError):
        return InvalidNameError(str(error))
    if isinstance(error, CorruptEntryError):
        return CorruptMetadataError(f"in the content store at {location}, {error}")
    if isinstance(error, BackendCorruptError):
        return CorruptStoreError(f"the content store at {location} is damaged: {error}")
    return StoreUnavailableError(f"the content store at {location}: {error}")
