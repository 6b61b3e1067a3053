"""What `open_backend` puts around an engine, from the options of its URL.

From the inside out, each only where its option or the engine asks for it:

    Guarded          deadline and breaker         every remote engine
    Envelope         check, compress, sign        every remote engine; `envelope=true` for others
    ReadOnly         `read_only=true`
    NegativeCaching  `negative_life=2s`
    SingleFlight     `single_flight=true`; with `lease=60s`, across processes
    BackgroundPuts   `background=true`
    Forgiving        faults become misses         every remote engine
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from torchstash.cache.backend import RemoteCacheBackend
from torchstash.cache.capabilities import Closable
from torchstash.cache.opening.backend_url import BackendUrl
from torchstash.cache.opening.option_types import (
    COUNT,
    FLAG,
    SECONDS,
    SIZE_BYTES,
    TEXT,
    OptionType,
    choice,
)
from torchstash.cache.opening.timeout_options import TIMEOUT_OPTIONS
from torchstash.cache.opening.url_timeouts import url_timeouts
from torchstash.cache.wrappers import (
    BackgroundPuts,
    BreakerLimits,
    Forgiving,
    Guarded,
    NegativeCaching,
    ReadOnly,
    SingleFlight,
    Tiers,
)

# Of every engine.
_OPTIONS: Final[dict[str, OptionType[Any]]] = {
    "background": FLAG,
    "compression": choice("zstd", "none"),
    "envelope": FLAG,
    "lease": SECONDS,
    "lease_wait": SECONDS,
    "max_value": SIZE_BYTES,
    "namespace": TEXT,
    "negative_life": SECONDS,
    "read_only": FLAG,
    "signing_keys_file": TEXT,
    "single_flight": FLAG,
}
# Of remote ones.
_REMOTE_OPTIONS: Final[dict[str, OptionType[Any]]] = {
    "breaker_failures": COUNT,
    "breaker_lost": SECONDS,
    "breaker_probe": SECONDS,
}
# An option that is about envelopes asks for one.
_ENVELOPE_OPTIONS: Final = ("compression", "max_value", "namespace", "signing_keys_file")


def open_chain(
    url: BackendUrl,
    open_engine: Callable[[BackendUrl], RemoteCacheBackend[bytes]],
    *,
    is_remote: bool,
) -> RemoteCacheBackend[bytes]:
    """The engine of a URL, and around it what the URL asks for.

    Raises:
        BackendSettingsError: An option is wrong.
    """
    remote: dict[str, Any] = {}
    options, url = url.take(**_OPTIONS)
    if is_remote:
        remote, url = url.take(**_REMOTE_OPTIONS)
        _, url = url.take(**TIMEOUT_OPTIONS)
    # Before anything is opened.
    around = _envelope_around(url, options, is_remote=is_remote)
    guard = _guard_around(url, remote) if is_remote else None
    if "lease_wait" in options and "lease" not in options:
        raise url.wrong("has lease_wait, and no lease", "say how long a lease lives, as lease=60s")
    backend = open_engine(url)
    try:
        return _wrapped(backend, options, guard, around, is_remote=is_remote)
    except BaseException:
        if isinstance(backend, Closable):
            backend.close()
        raise


def _wrapped(
    backend: RemoteCacheBackend[bytes],
    options: dict[str, Any],
    guard: "_Around | None",
    around: "_Around | None",
    *,
    is_remote: bool,
) -> RemoteCacheBackend[bytes]:
    if guard is not None:
        backend = guard(backend)
    if around is not None:
        backend = around(backend)
    if options.get("read_only", False):
        backend = ReadOnly(backend)
    if "negative_life" in options:
        backend = NegativeCaching(backend, life_seconds=options["negative_life"])
    if options.get("single_flight", "lease" in options):
        backend = SingleFlight(
            backend, lease_seconds=options.get("lease"), wait_seconds=options.get("lease_wait")
        )
    if options.get("background", False):
        backend = BackgroundPuts(backend)
    return Forgiving(backend) if is_remote else backend


def open_tiers(
    tiers: Sequence[RemoteCacheBackend[bytes]], *, is_remote: bool
) -> RemoteCacheBackend[bytes]:
    """Several backends as tiers: `near`, `middle` or `middle-1`, `middle-2`..., and `far`.

    Where one of them is remote, no fault of any of them reaches the caller.
    """
    count = len(tiers) - 2
    middle = ["middle"] if count == 1 else [f"middle-{i}" for i in range(1, count + 1)]
    chain = Tiers(list(zip(["near", *middle, "far"], tiers, strict=True)))
    return Forgiving(chain) if is_remote else chain


_Around = Callable[[RemoteCacheBackend[bytes]], RemoteCacheBackend[bytes]]


def _guard_around(url: BackendUrl, options: dict[str, Any]) -> _Around:
    timeouts = url_timeouts(url)
    defaults = BreakerLimits()
    try:
        limits = BreakerLimits(
            options.get("breaker_failures", defaults.failures),
            options.get("breaker_lost", defaults.lost_seconds),
            options.get("breaker_probe", defaults.probe_seconds),
        )
    except ValueError as error:
        raise url.wrong(f"has a limit of zero ({error})", "give the breaker more") from error
    return lambda backend: Guarded(backend, timeouts=timeouts, limits=limits)


def _envelope_around(
    url: BackendUrl, options: dict[str, Any], *, is_remote: bool
) -> _Around | None:
    is_asked = any(name in options for name in _ENVELOPE_OPTIONS)
    if not options.get("envelope", is_remote or is_asked):
        if is_asked:
            raise url.wrong("has envelope=false, and options of envelopes", "leave one out")
        return None
    # Imported here because local engines need none.
    from torchstash.cache.envelope import (  # noqa: PLC0415
        Compression,
        Envelope,
        read_signing_keys,
    )

    keys_file = options.get("signing_keys_file")
    keys = () if keys_file is None else read_signing_keys(keys_file)
    compression = None if options.get("compression") == "none" else Compression()
    max_value_bytes = options.get("max_value", 1 << 30)
    return lambda backend: Envelope(
        backend,
        namespace=options.get("namespace", ""),
        compression=compression,
        signing_keys=keys,
        max_value_bytes=max_value_bytes,
    )
