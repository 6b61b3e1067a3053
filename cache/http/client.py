"""Requests below one base URL, over connections that are kept and reused."""

from base64 import b64encode
from collections.abc import Sequence
from http.client import RemoteDisconnected
from urllib.parse import unquote, urlsplit

from torchstash.cache.errors import (
    BackendError,
    BackendFullError,
    BackendReadOnlyError,
    BackendRefusedError,
    BackendSettingsError,
    BackendTimeoutError,
    BackendUnreachableError,
)
from torchstash.cache.http.connection import EXCHANGE_ERRORS, Answer, HttpConnection, Request
from torchstash.cache.network import ConnectionPool, Timeouts, TlsSettings, dial

_PORTS = {"http": 80, "https": 443}
# What one more attempt over a new connection may put right: the idle one had been closed.
_STALE = (RemoteDisconnected, ConnectionError)


class HttpClient:
    """GET, HEAD, PUT and DELETE. Thread-safe, and usable in a child made by fork.

    Args:
        base_url: `http://host:port/path` or `https://...`; a user and password in it are sent.
        bearer_token: Sent with each request, instead of a user and password.
        tls: For https; None: the system's authorities.
        timeouts: How long a request waits.

    Raises:
        BackendSettingsError: The URL or the files of `tls` cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        *,
        bearer_token: str | None,
        tls: TlsSettings | None,
        timeouts: Timeouts,
    ) -> None:
        try:
            parts = urlsplit(base_url)
            port = parts.port or _PORTS[parts.scheme]
        except (ValueError, KeyError) as error:
            raise BackendSettingsError(
                f"{_without_user(base_url)!r} is no URL of an HTTP cache ({error}); "
                "write http://host:port/path or https://host/path"
            ) from None
        host = parts.hostname
        if not host or parts.query or parts.fragment:
            raise BackendSettingsError(
                f"{_without_user(base_url)!r} must have a host, and no query or fragment; "
                "write http://host:port/path"
            )
        self.place = f"{parts.scheme}://{host}:{port}{parts.path.rstrip('/')}"
        self._path = parts.path.rstrip("/")
        self._headers = {"User-Agent": "torchstash"}
        if bearer_token is not None:
            self._headers["Authorization"] = f"Bearer {bearer_token}"
        elif parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = f"Basic {b64encode(user.encode()).decode()}"
        context = (tls or TlsSettings()).context() if parts.scheme == "https" else None

        def connect() -> HttpConnection:
            connected = dial(host, port, timeout_seconds=timeouts.connect_seconds, tls=context)
            return HttpConnection(connected, host, port, timeouts)

        self._pool = ConnectionPool(connect)

    def get(self, name: str) -> bytes | None:
        """The body of a resource, or None."""
        parts = self.get_parts(name, 0)
        return None if parts is None else parts[1]

    def get_parts(self, name: str, head_bytes: int) -> tuple[bytes, bytes] | None:
        """The body of a resource, its first `head_bytes` bytes apart from the others, or None."""
        answer = self._request("GET", name, head_bytes=head_bytes)
        if answer.status == 404:
            return None
        self._checked("GET", name, answer)
        return answer.head, answer.body

    def exists(self, name: str) -> bool:
        """Whether there is a resource."""
        answer = self._request("HEAD", name)
        return answer.status != 404 and bool(self._checked("HEAD", name, answer))

    def put(self, name: str, *parts: bytes | memoryview) -> None:
        """Make or replace a resource, whose body is these parts."""
        self._checked("PUT", name, self._request("PUT", name, parts))

    def delete(self, name: str) -> bool:
        """Remove a resource. False: there was none."""
        # Some servers answer as if there had been one.
        if not self.exists(name):
            return False
        answer = self._request("DELETE", name)
        return answer.status != 404 and bool(self._checked("DELETE", name, answer))

    def close(self) -> None:
        """Close every idle connection."""
        self._pool.close_idle()

    def _request(
        self,
        method: str,
        name: str,
        body: Sequence[bytes | memoryview] | None = None,
        head_bytes: int = 0,
    ) -> Answer:
        request = Request(method, f"{self._path}/{name}", body, self._headers, head_bytes)
        connection, was_used = self._pool.acquire()
        try:
            answer = self._exchange(connection, request)
        except _STALE as error:
            if not was_used:
                raise self._error(error) from error
        except EXCHANGE_ERRORS as error:
            raise self._error(error) from error
        else:
            return answer
        self._pool.close_idle()
        try:
            return self._exchange(self._pool.connect(), request)
        except EXCHANGE_ERRORS as error:
            raise self._error(error) from error

    def _exchange(self, connection: HttpConnection, request: Request) -> Answer:
        try:
            answer = connection.exchange(request)
        except BaseException:
            connection.close()
            raise
        if connection.is_open:
            self._pool.release(connection)
        else:
            connection.close()
        return answer

    def _error(self, error: Exception) -> BackendError:
        if isinstance(error, BackendError):
            return error
        if isinstance(error, TimeoutError):
            return BackendTimeoutError(
                f"{self.place} did not answer in time ({error}); is it overloaded?"
            )
        found = str(error) or type(error).__name__
        return BackendUnreachableError(
            f"{self.place} broke off its answer ({found}); is it a running HTTP server?"
        )

    def _checked(self, method: str, name: str, answer: Answer) -> Answer:
        status = answer.status
        if 200 <= status < 300:
            return answer
        said = f"{method} {self.place}/{name} was answered {status} {answer.reason}"
        if status in (401, 403, 407):
            raise BackendRefusedError(f"{said}; check the credentials, and what they allow")
        if status in (405, 501):
            raise BackendReadOnlyError(f"{said}; the server must allow {method} there")
        if status in (413, 507):
            raise BackendFullError(f"{said}; raise the server's limit, or free some space")
        if status in (408, 429) or status >= 500:
            raise BackendUnreachableError(f"{said}; try again later")
        raise BackendError(f"{said}; does the base URL name a folder that takes PUT and GET?")


def _without_user(url: str) -> str:
    """A URL for messages: without the password that may be in it."""
    scheme, mark, rest = url.partition("://")
    return scheme + mark + rest.rpartition("@")[2]
