"""Values by key as objects in a bucket, through obstore.

What it promises: a reader sees a whole old value or a whole new one, because an object appears
when its upload has ended; each operation ends within its `Timeouts`, or within twice that where the
server answers a little at a time; every fault is a `BackendError` whose subclass tells which.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import Buffer, override

from torchstash.cache.buffers import flat_view
from torchstash.cache.capabilities import (
    Containing,
    Deletable,
    Leasable,
    Listable,
    PutIfAbsent,
)
from torchstash.cache.concurrent_many import ConcurrentMany
from torchstash.cache.errors import BackendLibraryError
from torchstash.cache.flat_names import (
    KEY_ATTRIBUTE,
    encoded_key,
    flat_name,
    is_named_by_digest,
    key_of_metadata,
    key_of_name,
)
from torchstash.cache.keys import encode_key
from torchstash.cache.network import Timeouts
from torchstash.cache.server_backend import ServerBackend
from torchstash.cache.two_part_backend import TwoPartBackend

if TYPE_CHECKING:
    from torchstash.cache.object_store.operations import Operations


class ObjectStoreBackend(
    ServerBackend["Operations"],
    ConcurrentMany,
    Containing,
    Deletable,
    Leasable,
    Listable,
    PutIfAbsent,
    TwoPartBackend,
):
    """Values by key in the bucket and below the prefix that `url` names.

    Nothing is connected before the first operation. A process that was forked after that raises
    `BackendForkedError`: the threads of obstore do not cross a fork (docs/adr/0018).

    Args:
        url: `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`.
        options: As obstore names them for that store (`endpoint`, `region`, `access_key_id`,
            `service_account_path`, `account_name`...). What is not given comes from the
            environment, as with the stores' own tools.
        allow_http: Take an endpoint without TLS.
        ca_file: PEM file of an authority to trust beside those of the system.
        timeouts: How long an operation waits.

    Raises (from every method):
        BackendError: The store cannot be reached, or refused; the subclass tells why.
        InvalidKeyError: UTF-8 cannot encode a key.
    """

    engine_name: ClassVar[str] = "object_store"

    def __init__(
        self,
        url: str,
        *,
        options: Mapping[str, str] | None = None,
        allow_http: bool = False,
        ca_file: str | None = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
    ) -> None:
        try:
            # Imported here because it needs obstore, which only users of object stores have.
            from torchstash.cache.object_store.operations import open_operations  # noqa: PLC0415
        except ImportError as error:
            raise BackendLibraryError(
                f"the object store engine needs obstore ({error}): "
                "pip install torchstash[object-store]"
            ) from error
        settings: dict[str, Any] = {
            "url": url,
            "options": dict(options or {}),
            "allow_http": allow_http,
            "ca_file": ca_file,
            "timeouts": timeouts,
        }
        super().__init__(open_operations(**settings), url, settings)

    @override
    def _get(self, key: str) -> bytes | None:
        parts = self._opened.get(flat_name(key))
        return None if parts is None else parts[1]

    @override
    def _put(self, key: str, data: Buffer) -> None:
        name = flat_name(key)
        self._opened.put(name, [flat_view(data)], _attributes(name, key))

    @override
    def _get_parts(self, key: str, head_bytes: int) -> tuple[bytes, bytes] | None:
        return self._opened.get(flat_name(key), head_bytes)

    @override
    def _put_parts(self, key: str, head: bytes, body: bytes | memoryview) -> None:
        name = flat_name(key)
        self._opened.put(name, [head, body], _attributes(name, key))

    @override
    def put_if_absent(self, key: str, data: Buffer) -> bool:
        """As the interface says, where the server honours `If-None-Match`; most do."""
        name = flat_name(key)
        return self._opened.put(name, [flat_view(data)], _attributes(name, key), only_new=True)

    @override
    def acquire_lease(self, key: str, holder: bytes, life_seconds: float) -> bool:
        """As the interface says, where the server honours conditions; see `leases.py`."""
        from torchstash.cache.object_store.leases import Leases  # noqa: PLC0415 - needs obstore

        return Leases(self._opened).acquire(key, holder, life_seconds)

    @override
    def release_lease(self, key: str, holder: bytes) -> None:
        from torchstash.cache.object_store.leases import Leases  # noqa: PLC0415 - needs obstore

        Leases(self._opened).release(key, holder)

    @override
    def contains(self, key: str) -> bool:
        return self._opened.attributes(flat_name(key)) is not None

    @override
    def delete(self, key: str) -> bool:
        # Stores do not tell whether there was one.
        if not self.contains(key):
            return False
        self._opened.delete(flat_name(key))
        return True

    @override
    def keys(self, prefix: str = "") -> Iterator[str]:
        """Keys that begin with `prefix`, in order: every object of the store is listed first.

        A key whose name would be too long costs a request of its own.
        """
        operations = self._opened
        found: list[str] = []
        for name in operations.names():
            key = key_of_name(name)
            if key is None and is_named_by_digest(name):
                attributes = operations.attributes(name)
                key = None if attributes is None else key_of_metadata(name, attributes)
            if key is not None and key.startswith(prefix):
                found.append(key)
        yield from sorted(found, key=encode_key)

    @override
    def _close_client(self, client: "Operations") -> None:
        """Nothing: clients close their connections when they are collected."""


def _attributes(name: str, key: str) -> dict[str, str]:
    return {KEY_ATTRIBUTE: encoded_key(key)} if is_named_by_digest(name) else {}
