"""`redis://user:password@host:6379,other:6379/0?prefix=stash:&ttl=7d`; `rediss://` for TLS."""

from torchstash.cache.opening.backend_url import BackendUrl
from torchstash.cache.opening.option_types import SECONDS, TEXT
from torchstash.cache.opening.tls_options import TLS_OPTIONS, take_tls
from torchstash.cache.opening.url_timeouts import url_timeouts
from torchstash.cache.redis.backend import RedisBackend

_PORT = 6379


def backend_from_url(url: BackendUrl) -> RedisBackend:
    """Redis or Valkey, a server or any servers of a cluster; the path is the database."""
    is_tls = url.scheme == "rediss"
    options = url.options(
        prefix=TEXT,
        ttl_seconds=SECONDS.named("ttl"),
        **(TLS_OPTIONS if is_tls else {}),
    )
    database = url.path.strip("/") or "0"
    if not (database.isascii() and database.isdigit()):
        raise url.wrong(f"names the database {database!r}", "write its number, as in /0")
    return RedisBackend(
        url.host,
        url.port or _PORT,
        others=[(place.host, place.port or _PORT) for place in url.places[1:]],
        db=int(database),
        username=url.username,
        password=url.password,
        tls=take_tls(options) if is_tls else None,
        timeouts=url_timeouts(url),
        **options,
    )
