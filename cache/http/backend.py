"""Values by key as resources below one URL: any web server that takes PUT, GET and DELETE.

What it promises: no operation takes longer than its `Timeouts`; a restarted server and a fork need
no new backend; every fault is a `BackendError` whose subclass tells which. Whether a reader can
meet half of a value while it is being put is the server's affair: nginx and SeaweedFS show a file
when all of it is there, rclone writes in place.
"""

from typing import ClassVar

from typing_extensions import Buffer, override

from torchstash.cache.buffers import flat_view
from torchstash.cache.capabilities import Containing, Deletable, MayTear, SelfTimed
from torchstash.cache.flat_names import flat_name
from torchstash.cache.http.client_backend import ClientBackend
from torchstash.cache.two_part_backend import TwoPartBackend


class HttpBackend(ClientBackend, Containing, Deletable, MayTear, SelfTimed, TwoPartBackend):
    """Each value is the resource `<base_url>/<name>`; the folder must exist.

    Names are those of `torchstash.cache.flat_names`. Nothing is connected before the first
    operation.

    Args:
        base_url: `http://host:port/path` or `https://...`; a user and password in it are sent.
        bearer_token: Sent with each request, instead of a user and password.
        tls: For https; None: the system's authorities.
        timeouts: How long an operation waits.

    Raises (from every method):
        BackendError: The server cannot be reached, or refused; the subclass tells why.
        InvalidKeyError: UTF-8 cannot encode a key.
    """

    engine_name: ClassVar[str] = "http"

    @override
    def _get(self, key: str) -> bytes | None:
        return self._opened.get(flat_name(key))

    @override
    def _put(self, key: str, data: Buffer) -> None:
        self._opened.put(flat_name(key), flat_view(data))

    @override
    def _get_parts(self, key: str, head_bytes: int) -> tuple[bytes, bytes] | None:
        return self._opened.get_parts(flat_name(key), head_bytes)

    @override
    def _put_parts(self, key: str, head: bytes, body: bytes | memoryview) -> None:
        self._opened.put(flat_name(key), head, body)

    @override
    def contains(self, key: str) -> bool:
        return self._opened.exists(flat_name(key))

    @override
    def delete(self, key: str) -> bool:
        return self._opened.delete(flat_name(key))
