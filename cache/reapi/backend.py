"""Values by key in a remote cache of Bazel, by gRPC.

The API is the Remote Execution API, version 2 (github.com/bazelbuild/remote-apis). What this
promises: a value is put before what points to it and its digest is checked when it is read, so that
a reader sees a whole old value or a whole new one; each call ends within its `Timeouts`; a
restarted server needs no new backend; every fault is a `BackendError` whose subclass tells which. A
value whose content the server has evicted is a miss.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import Buffer, override

from torchstash.cache.buffers import flat_view
from torchstash.cache.capabilities import Containing, ManyAtOnce
from torchstash.cache.counters import cache_counters
from torchstash.cache.errors import BackendLibraryError
from torchstash.cache.network import Timeouts, TlsSettings
from torchstash.cache.server_backend import ServerBackend

if TYPE_CHECKING:
    from torchstash.cache.reapi.operations import Operations


class ReapiBackend(ServerBackend["Operations"], Containing, ManyAtOnce):
    """Each value an action's result. Entries are the server's to delete.

    Nothing is connected before the first operation. A process that was forked after that raises
    `BackendForkedError`: the threads of gRPC do not cross a fork.

    Args:
        host: Name or address of the server.
        port: Its TCP port.
        instance_name: Which of the caches that the server holds is meant.
        username: With `password`, sent with each call (basic authentication).
        password: As `username`.
        bearer_token: Sent with each call, instead of a user and password.
        tls: None: no TLS.
        timeouts: How long each call waits; a large value takes three.

    Raises (from every method):
        BackendError: The server cannot be reached, or refused; the subclass tells why.
        CorruptEntryError: The server gave other bytes than were put.
        InvalidKeyError: UTF-8 cannot encode a key.
    """

    engine_name: ClassVar[str] = "reapi"

    def __init__(
        self,
        host: str,
        port: int,
        *,
        instance_name: str = "",
        username: str | None = None,
        password: str | None = None,
        bearer_token: str | None = None,
        tls: TlsSettings | None = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
    ) -> None:
        try:
            # Imported here because they need gRPC, which only users of this engine have.
            from torchstash.cache.reapi.channel import Channel  # noqa: PLC0415
            from torchstash.cache.reapi.operations import Operations  # noqa: PLC0415
        except ImportError as error:
            raise BackendLibraryError(
                f"the engine of Bazel's remote caches needs gRPC ({error}): "
                "pip install torchstash[reapi]"
            ) from error
        settings: dict[str, Any] = {
            "host": host,
            "port": port,
            "instance_name": instance_name,
            "username": username,
            "password": password,
            "bearer_token": bearer_token,
            "tls": tls,
            "timeouts": timeouts,
        }
        metadata = {}
        if bearer_token is not None:
            metadata["authorization"] = f"Bearer {bearer_token}"
        elif username is not None or password is not None:
            user = f"{username or ''}:{password or ''}"
            metadata["authorization"] = f"Basic {b64encode(user.encode()).decode()}"
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        channel = Channel(place, metadata=metadata, tls=tls, timeouts=timeouts)
        super().__init__(Operations(channel, instance_name), place, settings)

    @override
    def _get(self, key: str) -> bytes | None:
        return self._opened.get([key]).get(key)

    @override
    def _put(self, key: str, data: Buffer) -> None:
        self._opened.put({key: flat_view(data)})

    @override
    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Small values at once; those that lie beside their result in batches."""
        names = list(dict.fromkeys(keys))
        try:
            found = self._opened.get(names)
        except Exception:
            cache_counters.exception(self._name)
            raise
        cache_counters.hit(self._name, len(found))
        cache_counters.miss(self._name, len(names) - len(found))
        return found

    @override
    def put_many(self, values: Mapping[str, bytes]) -> None:
        try:
            self._opened.put({key: flat_view(data) for key, data in values.items()})
        except Exception:
            cache_counters.exception(self._name)
            raise
        cache_counters.put(self._name, len(values))

    @override
    def contains(self, key: str) -> bool:
        return self._opened.contains(key)

    @override
    def _close_client(self, client: "Operations") -> None:
        client.close()
