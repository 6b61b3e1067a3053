"""What engines have in common whose values lie on servers: made of settings, and closed once."""

from abc import abstractmethod
from typing import Any, Generic, Self, TypeVar

from typing_extensions import override

from torchstash.cache.backend import RemoteCacheBackend
from torchstash.cache.capabilities import Closable
from torchstash.cache.errors import BackendClosedError

C = TypeVar("C")


class ServerBackend(RemoteCacheBackend[bytes], Closable, Generic[C]):
    """A backend over a client, which connects to nothing before the first operation.

    Args:
        client: What the operations are asked of.
        place: Where the values lie, for messages.
        settings: The arguments that make the same backend, with its credentials.
    """

    def __init__(self, client: C, place: str, settings: dict[str, Any]) -> None:
        super().__init__()
        self._settings = settings
        self._place = place
        self._client: C | None = client

    @override
    def __reduce__(self) -> tuple[object, ...]:
        """Another process connects to the same servers, with the same credentials."""
        return self._reopen, (self._settings,)

    @classmethod
    def _reopen(cls, settings: dict[str, Any]) -> Self:
        return cls(**settings)

    @property
    def _opened(self) -> C:
        if self._client is None:
            raise BackendClosedError(f"the backend of {self._place} was closed; make a new one")
        return self._client

    @override
    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            self._close_client(client)

    @abstractmethod
    def _close_client(self, client: C) -> None:
        """Give back what the client holds."""
        raise NotImplementedError
