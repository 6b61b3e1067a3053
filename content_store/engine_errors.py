"""Errors of the disk engine as errors of this layer."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torchstash.cache.errors import (
    BackendCorruptError,
    BackendMissingError,
    CacheError,
    CorruptEntryError,
    InvalidKeyError,
)
from torchstash.content_store.errors import (
    CorruptMetadataError,
    CorruptStoreError,
    InvalidNameError,
    MissingStoreError,
    StoreUnavailableError,
)


@contextmanager
def store_errors(location: Path) -> Iterator[None]:
    """Raises what the engine of the store at `location` raises as a `ContentStoreError`."""
    try:
        yield
    except BackendMissingError as error:
        raise MissingStoreError(f"no content store: {error}") from error
    except InvalidKeyError as error:
        raise InvalidNameError(str(error)) from error
    except CorruptEntryError as error:
        raise CorruptMetadataError(f"in the content store at {location}, {error}") from error
    except BackendCorruptError as error:
        raise CorruptStoreError(f"the content store at {location} is damaged: {error}") from error
    except CacheError as error:
        raise StoreUnavailableError(f"the content store at {location}: {error}") from error
