"""What both layouts of values on a web server have in common: one client, made again elsewhere."""

from typing import Any

from typing_extensions import override

from torchstash.cache.concurrent_many import ConcurrentMany
from torchstash.cache.http.client import HttpClient
from torchstash.cache.network import Timeouts, TlsSettings
from torchstash.cache.server_backend import ServerBackend


class ClientBackend(ServerBackend[HttpClient], ConcurrentMany):
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
        settings: dict[str, Any] = {
            "base_url": base_url,
            "bearer_token": bearer_token,
            "tls": tls,
            "timeouts": timeouts,
        }
        client = HttpClient(**settings)
        super().__init__(client, client.place, settings)

    @override
    def _close_client(self, client: HttpClient) -> None:
        client.close()
