"""Connections that are ready for requests: dialled, secured, logged in, in their database."""

from collections.abc import Sequence
from functools import partial
from ssl import SSLContext
from typing import TYPE_CHECKING

from torchstash.cache.errors import BackendLibraryError
from torchstash.cache.network import Timeouts, TlsSettings, dial

if TYPE_CHECKING:
    from torchstash.cache.redis.connection import RespConnection
    from torchstash.cache.redis.request import Argument, Request
    from torchstash.cache.redis.servers import Servers
    from torchstash.cache.redis.slots import Address


def open_servers(
    named: Sequence["Address"],
    *,
    db: int,
    username: str | None,
    password: str | None,
    tls: TlsSettings | None,
    timeouts: Timeouts,
) -> "Servers":
    """The servers that `named` leads to. Connects to none of them yet.

    Raises:
        BackendLibraryError: hiredis is not installed.
        BackendSettingsError: The files of `tls` cannot be used.
    """
    try:
        # Imported here because they need hiredis, which only users of Redis have.
        from torchstash.cache.redis.request import Request, pack  # noqa: PLC0415
        from torchstash.cache.redis.servers import Servers  # noqa: PLC0415
    except ImportError as error:
        raise BackendLibraryError(
            f"the Redis engine needs hiredis ({error}): pip install torchstash[redis]"
        ) from error
    greetings: list[Argument] = []
    if password is not None:
        user = [] if username is None else [username.encode()]
        greetings += pack(b"AUTH", *user, password.encode())
    if db:
        greetings += pack(b"SELECT", b"%d" % db)
    context = None if tls is None else tls.context()
    greeting = Request(greetings, len(greetings))
    return Servers(named, partial(_connect, greeting, context, timeouts))


def _connect(
    greeting: "Request", tls: SSLContext | None, timeouts: Timeouts, address: "Address"
) -> "RespConnection":
    from torchstash.cache.redis.connection import ReplyError, RespConnection  # noqa: PLC0415
    from torchstash.cache.redis.reply_errors import reply_error  # noqa: PLC0415

    host, port = address
    connected = dial(host, port, timeout_seconds=timeouts.connect_seconds, tls=tls)
    connection = RespConnection(connected, f"{host}:{port}", timeouts)
    try:
        replies = connection.exchange(greeting) if greeting.replies else []
    except BaseException:
        connection.close()
        raise
    for reply in replies:
        if isinstance(reply, ReplyError):
            connection.close()
            raise reply_error(f"{host}:{port}", reply)
    return connection
