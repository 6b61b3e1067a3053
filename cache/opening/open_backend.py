"""`open_backend`: one string makes a chain of backends."""

import difflib
from collections.abc import Mapping
from importlib import import_module

from torchstash.cache.backend import RemoteCacheBackend
from torchstash.cache.errors import BackendLibraryError, BackendSettingsError
from torchstash.cache.opening.backend_url import BackendUrl, parse_backend_url
from torchstash.cache.opening.schemes import SCHEMES, Scheme
from torchstash.cache.opening.timeout_options import TIMEOUT_OPTIONS


def open_backend(url: str, *, schemes: Mapping[str, Scheme] = SCHEMES) -> RemoteCacheBackend[bytes]:
    """The backend that `url` describes.

        memory:?max_bytes=64MiB                values of this process
        file:///var/cache/stash?max_bytes=10GiB    a folder; `durable=true` survives power loss

    Sizes and times bring their units; what is special to URLs is percent-encoded.

    Args:
        url: One URL.
        schemes: Which engines there are.

    Raises:
        BackendSettingsError: The URL is wrong: what is wrong, and what exists.
        BackendLibraryError: Its engine needs a library that is not installed.
        BackendError: An engine on this machine cannot be opened.
    """
    return _open_one(parse_backend_url(url.strip()), schemes)


def _open_one(url: BackendUrl, schemes: Mapping[str, Scheme]) -> RemoteCacheBackend[bytes]:
    scheme = _scheme(url, schemes)
    if scheme.is_remote:
        _, url = url.take(**TIMEOUT_OPTIONS)
    return _open_engine(url, scheme)


def _scheme(url: BackendUrl, schemes: Mapping[str, Scheme]) -> Scheme:
    scheme = schemes.get(url.scheme)
    if scheme is None:
        near = difflib.get_close_matches(url.scheme, schemes, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        examples = ", ".join(schemes[name].example for name in sorted(schemes))
        raise BackendSettingsError(
            f"a cache URL has the unknown scheme {url.scheme!r}; {hint}There are: {examples}"
        )
    return scheme


def _open_engine(url: BackendUrl, scheme: Scheme) -> RemoteCacheBackend[bytes]:
    try:
        module = import_module(scheme.module)
    except ModuleNotFoundError as error:
        if error.name is None or not scheme.module.startswith(error.name):
            raise
        raise BackendLibraryError(
            f"the engine of {url} is not part of this program ({error}); "
            f"let its Bazel target depend on @torchstash{scheme.target}"
        ) from error
    backend: RemoteCacheBackend[bytes] = module.backend_from_url(url)
    return backend
