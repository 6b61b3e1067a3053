"""Connecting to a server within a time budget, whatever number of addresses its name has."""

import socket
import ssl
import time

from torchstash.cache.errors import (
    BackendRefusedError,
    BackendTimeoutError,
    BackendUnreachableError,
)


def dial(
    host: str, port: int, *, timeout_seconds: float, tls: ssl.SSLContext | None = None
) -> socket.socket:
    """A connected socket; its addresses are tried in the order of the resolver.

    Raises:
        BackendUnreachableError: No address of that name took the connection, or it broke off.
        BackendTimeoutError: The time was up before one did.
        BackendRefusedError: TLS could not be agreed on: one side does not trust the other.
    """
    deadline = time.monotonic() + timeout_seconds
    wanted = "take a connection"
    try:
        connected = _connect(host, port, deadline)
        if tls is None:
            return connected
        wanted = "agree on TLS"
        return _secure(connected, host, tls, deadline)
    except TimeoutError as error:
        raise BackendTimeoutError(
            f"{host}:{port} did not {wanted} within {timeout_seconds} s; "
            "is it the right address, and is the server alive?"
        ) from error
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
        raise BackendUnreachableError(
            f"{host}:{port} broke off before TLS was agreed on ({error}); "
            "is the server running there, and does it speak TLS?"
        ) from error
    except ssl.SSLError as error:
        raise BackendRefusedError(
            f"no TLS connection to {host}:{port} ({error}); "
            "check that the server speaks TLS there, and the certificates of both sides"
        ) from error
    except OSError as error:
        raise BackendUnreachableError(
            f"{host}:{port} cannot be reached ({error}); is the server running there?"
        ) from error


def _connect(host: str, port: int, deadline: float) -> socket.socket:
    failure: OSError = OSError(f"the name {host!r} has no address")
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"{host!r} is no host name: {error}") from error
    for family, kind, protocol, _, address in addresses:
        candidate = socket.socket(family, kind, protocol)
        try:
            candidate.settimeout(_left(deadline))
            candidate.connect(address)
            candidate.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        except OSError as error:
            candidate.close()
            failure = error
        except BaseException:
            candidate.close()
            raise
        else:
            return candidate
    raise failure


def _secure(
    connected: socket.socket, host: str, tls: ssl.SSLContext, deadline: float
) -> socket.socket:
    try:
        connected.settimeout(_left(deadline))
        return tls.wrap_socket(connected, server_hostname=host)
    except BaseException:
        connected.close()
        raise


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time is up")
    return left
