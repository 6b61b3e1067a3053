"""`open_engine`: the engine of a URL alone, for programs that want its faults and not misses."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from torchstash.cache.backend import RemoteCacheBackend
from torchstash.cache.errors import BackendSettingsError
from torchstash.cache.opening.backend_url import BackendUrl, parse_backend_url
from torchstash.cache.opening.open_backend import engine_of, scheme_of
from torchstash.cache.opening.schemes import SCHEMES, Scheme
from torchstash.cache.opening.timeout_options import TIMEOUT_OPTIONS

# Who moves data wants them moved: a cache would rather go on without.
_PATIENCE: Final[Mapping[str, str]] = {
    "connect_timeout": "10s",
    "timeout": "60s",
    "min_rate": "256KiB",
}


def open_engine(url: str, *, schemes: Mapping[str, Scheme] = SCHEMES) -> RemoteCacheBackend[bytes]:
    """The engine that `url` names, with nothing around it: it raises every fault.

    It waits longer than a cache does, unless `timeout`, `connect_timeout` and `min_rate` say how
    long. Options that are for what `open_backend` puts around an engine are refused.

    Raises:
        BackendSettingsError: The URL is wrong, or is of several backends.
        BackendLibraryError: The engine needs a library that is not installed.
        BackendError: It cannot be opened.
    """
    if "|" in url:
        raise BackendSettingsError(
            "a URL of one engine is needed, and this one has several, with '|' between them; "
            "name the one that is meant"
        )
    parsed = parse_backend_url(url.strip())
    scheme = scheme_of(parsed, schemes)
    if scheme.is_remote:
        parsed = _patient(parsed)
    return engine_of(scheme, parsed)


def _patient(url: BackendUrl) -> BackendUrl:
    given = {name for name, _ in url.query}
    added = tuple(pair for pair in _PATIENCE.items() if pair[0] not in given)
    _, taken = replace(url, query=(*url.query, *added)).take(**TIMEOUT_OPTIONS)
    return taken
