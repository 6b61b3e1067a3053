"""The cache that the environment names: the one place of this layer that reads it."""

import os
from collections.abc import Mapping
from typing import Final

from torchstash.cache.backend import RemoteCacheBackend
from torchstash.cache.opening.open_backend import open_backend

VARIABLE: Final = "TORCHSTASH_CACHE_URL"


def from_env(environ: Mapping[str, str] | None = None) -> RemoteCacheBackend[bytes] | None:
    """The backend of the URL in TORCHSTASH_CACHE_URL. None: it is not set, or empty.

    Args:
        environ: Where to look; None: in the environment of this process.

    Raises:
        BackendSettingsError: The URL is wrong.
        BackendLibraryError: Its engine needs a library that is not installed.
        BackendError: An engine on this machine cannot be opened.
    """
    url = (os.environ if environ is None else environ).get(VARIABLE, "").strip()
    return open_backend(url) if url else None
