"""The other side of a transfer, as users name it.

A folder, by its path or as `file:///folder`, is a content store like any other. Any other URL is an
engine, opened without what turns its faults into misses: a transfer that lost something must say
so. A backend that the caller has opened is taken as it is, unless it hides faults.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from torchstash.cache.backend import RemoteCacheBackend
from torchstash.cache.capabilities import Closable
from torchstash.cache.disk import DiskBackend
from torchstash.cache.errors import BackendSettingsError
from torchstash.cache.opening import open_engine
from torchstash.cache.opening.backend_url import parse_backend_url
from torchstash.cache.wrappers import BackgroundPuts, Forgiving, ReadOnly
from torchstash.content_store.engine_errors import store_errors
from torchstash.content_store.errors import PlaceUnavailableError
from torchstash.content_store.movement.place_errors import place_errors
from torchstash.content_store.movement.remote import Remote

Place = str | os.PathLike[str] | RemoteCacheBackend[bytes]
"""A folder, a URL, or a backend."""

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_HIDES_FAULTS: Final = (BackgroundPuts, Forgiving, ReadOnly)


@contextmanager
def opened(place: Place, *, to_write: bool) -> Iterator[DiskBackend | Remote]:
    """The store or the remote that `place` names; what was opened here is closed at the end.

    Raises:
        MissingStoreError: There is no store in that folder, and it is only to be read.
        StoreUnavailableError: It cannot be opened.
        PlaceUnavailableError: The URL is wrong, its engine cannot be opened, or a backend was given
            that hides its faults.
    """
    if isinstance(place, DiskBackend):
        yield place
        return
    if isinstance(place, RemoteCacheBackend):
        _require_honest(place)
        yield Remote(place, getattr(place, "engine_name", "") or type(place).__name__)
        return
    folder = _folder(place)
    if folder is not None:
        with open_store(folder, to_write=to_write) as store:
            yield store
        return
    text = str(place)
    with place_errors("the place", None):
        backend = open_engine(text)
        shown = str(parse_backend_url(text.strip()))
    try:
        yield Remote(backend, shown)
    finally:
        if isinstance(backend, Closable):
            backend.close()


@contextmanager
def open_store(folder: Path, *, to_write: bool) -> Iterator[DiskBackend]:
    """The content store in a folder, made if it is to be written.

    Raises:
        StoreUnavailableError: It cannot be opened.
    """
    folder = folder.absolute()
    with store_errors(folder):
        store = (
            DiskBackend(folder, durable=True) if to_write else DiskBackend.open_read_only(folder)
        )
    with store:
        yield store


def _folder(place: str | os.PathLike[str]) -> Path | None:
    """The folder that is meant; None: a URL of something else."""
    if not isinstance(place, str) or not _URL.match(place):
        return Path(place)
    if not place.lower().startswith("file:"):
        return None
    with place_errors("the place", None):
        url = parse_backend_url(place)
        url.options()
        if (url.places and url.host != "localhost") or not url.path:
            raise url.wrong("names no folder of this machine", "write file:///absolute/folder")
    return Path(url.path)


def _require_honest(backend: RemoteCacheBackend[bytes]) -> None:
    inner: object = backend
    while inner is not None:
        if isinstance(inner, _HIDES_FAULTS):
            raise PlaceUnavailableError(
                f"a backend inside {type(inner).__name__} cannot be moved to or from: what it "
                "loses it does not tell; give the engine, or its URL"
            ) from BackendSettingsError(type(inner).__name__)
        inner = getattr(inner, "inner", None)
