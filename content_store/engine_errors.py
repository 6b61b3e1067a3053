"""Errors of the disk engine as errors of this layer."""

from pathlib import Path
from typing import Final

from torchstash.cache.errors import (
    BackendCorruptError,
    BackendMissingError,
    BackendQuotaError,
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
    QuotaExceededError,
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
            raise store_error(self._location, error) from error


# The first that fits; what the message begins with, where the engine's own does not say it all.
_KINDS: Final[tuple[tuple[type[CacheError], type[ContentStoreError], str], ...]] = (
    (BackendMissingError, MissingStoreError, "no content store: "),
    (InvalidKeyError, InvalidNameError, ""),
    (CorruptEntryError, CorruptMetadataError, "in the content store at {}, "),
    (BackendCorruptError, CorruptStoreError, "the content store at {} is damaged: "),
    (CacheError, StoreUnavailableError, "the content store at {}: "),
)


def store_error(location: Path, error: CacheError) -> ContentStoreError:
    """The error that says what `error` means for the store at `location`."""
    if isinstance(error, BackendQuotaError):
        return QuotaExceededError(
            f"the content store at {location}: {error}",
            quota_bytes=error.quota_bytes,
            used_bytes=error.used_bytes,
            asked_bytes=error.asked_bytes,
        )
    kind, beginning = next(
        (ours, text) for theirs, ours, text in _KINDS if isinstance(error, theirs)
    )
    return kind(beginning.format(location) + str(error))
