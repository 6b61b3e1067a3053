"""`open_backend`: one string makes a chain of backends."""

import difflib
from collections.abc import Mapping
from functools import partial
from importlib import import_module

from torchstash.cache.backend import RemoteCacheBackend
from torchstash.cache.capabilities import Closable
from torchstash.cache.errors import BackendLibraryError, BackendSettingsError
from torchstash.cache.opening.backend_url import BackendUrl, parse_backend_url
from torchstash.cache.opening.schemes import SCHEMES, Scheme


def open_backend(url: str, *, schemes: Mapping[str, Scheme] = SCHEMES) -> RemoteCacheBackend[bytes]:
    """The backend that `url` describes.

        memory:?max_bytes=64MiB                    values of this process
        file:///var/cache/stash?max_bytes=10GiB    a folder; `durable=true` survives power loss
        memory:?max_bytes=1GiB|file:///mnt/stash   tiers: the nearest first, filled from the others

    Sizes and times bring their units; what is special to URLs is percent-encoded. Any URL takes
    `background`, `compression`, `envelope`, `lease`, `lease_wait`, `max_value`, `namespace`,
    `negative_life`, `read_only`, `signing_keys_file` and `single_flight`; `chain.py` tells what
    each puts around the engine. A
    remote engine also takes `timeout`, `connect_timeout`, `min_rate`, `breaker_failures`,
    `breaker_lost` and `breaker_probe`, and never raises: its faults become misses.

    Args:
        url: One URL, or several with `|` between them.
        schemes: Which engines there are.

    Raises:
        BackendSettingsError: A URL is wrong: what is wrong, and what exists.
        BackendLibraryError: Its engine needs a library that is not installed.
        BackendError: An engine on this machine cannot be opened.
    """
    # Imported here because it takes longer than the rest of this layer.
    from torchstash.cache.opening.chain import open_chain, open_tiers  # noqa: PLC0415

    urls = [parse_backend_url(part.strip()) for part in url.split("|")]
    kinds = [scheme_of(each, schemes) for each in urls]
    opened: list[RemoteCacheBackend[bytes]] = []
    try:
        for each, scheme in zip(urls, kinds, strict=True):
            engine = partial(engine_of, scheme)
            opened.append(open_chain(each, engine, is_remote=scheme.is_remote))
    except BaseException:
        for backend in opened:
            if isinstance(backend, Closable):
                backend.close()
        raise
    if len(opened) == 1:
        return opened[0]
    return open_tiers(opened, is_remote=any(scheme.is_remote for scheme in kinds))


def scheme_of(url: BackendUrl, schemes: Mapping[str, Scheme]) -> Scheme:
    """How the URL is opened.

    Raises:
        BackendSettingsError: There is no such scheme.
    """
    scheme = schemes.get(url.scheme)
    if scheme is None:
        near = difflib.get_close_matches(url.scheme, schemes, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        examples = ", ".join(schemes[name].example for name in sorted(schemes))
        raise BackendSettingsError(
            f"a cache URL has the unknown scheme {url.scheme!r}; {hint}There are: {examples}"
        )
    return scheme


def engine_of(scheme: Scheme, url: BackendUrl) -> RemoteCacheBackend[bytes]:
    """The engine alone.

    Raises:
        BackendError: It cannot be opened; the subclass tells why.
    """
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
