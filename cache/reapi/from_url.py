"""`grpc://user:password@host:8980/instance?bearer_token=...`; `grpcs://` for TLS."""

from torchstash.cache.opening.backend_url import BackendUrl
from torchstash.cache.opening.option_types import SECRET
from torchstash.cache.opening.tls_options import TLS_OPTIONS, take_tls
from torchstash.cache.opening.url_timeouts import url_timeouts
from torchstash.cache.reapi.backend import ReapiBackend

_PORTS = {"grpc": 8980, "grpcs": 443}


def backend_from_url(url: BackendUrl) -> ReapiBackend:
    """A remote cache of Bazel; the path is the name of the instance."""
    is_tls = url.scheme == "grpcs"
    options = url.options(bearer_token=SECRET, **(TLS_OPTIONS if is_tls else {}))
    if len(url.places) > 1:
        raise url.wrong("names several hosts", "name one: a balancer, where there are several")
    return ReapiBackend(
        url.host,
        url.port or _PORTS[url.scheme],
        instance_name=url.path.strip("/"),
        username=url.username,
        password=url.password,
        tls=take_tls(options) if is_tls else None,
        timeouts=url_timeouts(url),
        **options,
    )
