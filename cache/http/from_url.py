"""`https://user:password@host/folder?layout=bazel`, or `http://`."""

from urllib.parse import quote

from torchstash.cache.http.backend import HttpBackend
from torchstash.cache.http.bazel_backend import BazelHttpBackend
from torchstash.cache.opening.backend_url import BackendUrl
from torchstash.cache.opening.option_types import SECRET, choice
from torchstash.cache.opening.tls_options import TLS_OPTIONS, take_tls
from torchstash.cache.opening.url_timeouts import url_timeouts


def backend_from_url(url: BackendUrl) -> HttpBackend | BazelHttpBackend:
    """A web server that takes PUT; with `layout=bazel`, a remote cache of Bazel."""
    is_tls = url.scheme == "https"
    options = url.options(
        layout=choice("plain", "bazel"),
        bearer_token=SECRET,
        **(TLS_OPTIONS if is_tls else {}),
    )
    if len(url.places) > 1:
        raise url.wrong("names several hosts", "name one: a balancer, where there are several")
    kind = BazelHttpBackend if options.pop("layout", "plain") == "bazel" else HttpBackend
    tls = take_tls(options) if is_tls else None
    return kind(_base_url(url), tls=tls, timeouts=url_timeouts(url), **options)


def _base_url(url: BackendUrl) -> str:
    host = f"[{url.host}]" if ":" in url.host else url.host
    port = "" if url.port is None else f":{url.port}"
    user = ""
    if url.username is not None or url.password is not None:
        user = f"{quote(url.username or '', safe='')}:{quote(url.password or '', safe='')}@"
    return f"{url.scheme}://{user}{host}{port}{quote(url.path)}"
