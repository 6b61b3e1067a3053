"""What both layouts of values on a web server have in common: one client, made again elsewhere."""

from typing import Any, Self

from typing_extensions import override

from torchstash.cache.capabilities import Closable
from torchstash.cache.concurrent_many import ConcurrentMany
from torchstash.cache.errors import BackendClosedError
from torchstash.cache.http.client import HttpClient
from torchstash.cache.network import Timeouts, TlsSettings


class ClientBackend(ConcurrentMany, Closable):
    """A backend over one `HttpClient`. Nothing is connected before the first operation.

    Args:
        base_url: `http://host:port/path` or `https://...`; a user and password in it are sent.
        bearer_token: Sent with each request, instead of a user and password.
        tls: For https; None: the system's authorities.
        timeouts: How long each request waits.
    """

    def __init__(
        self,
        base_url: str,
        *,
        bearer_token: str | None = None,
        tls: TlsSettings | None = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
    ) -> None:
        super().__init__()
        self._settings: dict[str, Any] = {
            "base_url": base_url,
            "bearer_token": bearer_token,
            "tls": tls,
            "timeouts": timeouts,
        }
        self._client = HttpClient(base_url, bearer_token=bearer_token, tls=tls, timeouts=timeouts)
        self._closed = False

    @override
    def __reduce__(self) -> tuple[object, ...]:
        """Another process connects to the same server, with the same credentials."""
        return self._reopen, (self._settings,)

    @classmethod
    def _reopen(cls, settings: dict[str, Any]) -> Self:
        return cls(**settings)

    def _opened(self) -> HttpClient:
        if self._closed:
            raise BackendClosedError(
                f"the backend of {self._client.place} was closed; make a new one"
            )
        return self._client

    @override
    def close(self) -> None:
        self._closed = True
        self._client.close()
