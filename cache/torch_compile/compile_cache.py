"""What `torch.compile` is given for a remote cache."""

from typing import ClassVar
from urllib.parse import quote

from typing_extensions import override

from torchstash.cache.backend import RemoteCacheBackend
from torchstash.cache.json_serde import JsonDataTy, RemoteCacheJsonSerde
from torchstash.cache.remote_cache import RemoteCache, Sample
from torchstash.cache.sinks import SampleSink


class CompileCache(RemoteCache[JsonDataTy]):
    """A cache of the compiler, over a backend that all of its caches share.

    The user's compilation goes on whatever happens here: an exception in `get` is a miss and one
    in `put` is forgotten, both after `cache_counters` and the sample have them. Keys are
    `torch_compile/<cache id>/<key>`, the id percent-encoded (RFC 3986), so that no two ids meet.

    Attributes:
        shared_backend: Set by `install` on the classes that it makes.
        shared_sink: Likewise.
    """

    shared_backend: ClassVar[RemoteCacheBackend[bytes]]
    shared_sink: ClassVar[SampleSink | None] = None

    def __init__(self, cache_id: str) -> None:
        super().__init__(self.shared_backend, RemoteCacheJsonSerde(), sink=self.shared_sink)
        self._prefix = f"torch_compile/{quote(cache_id, safe='', errors='surrogatepass')}/"

    @override
    def get(self, key: str) -> JsonDataTy | None:
        """The value of `key`, or None: there is none, or the backend failed."""
        try:
            return super().get(key)
        except Exception as error:  # noqa: BLE001 - the boundary to the user's compilation
            self._say_once("get", error)
            return None

    @override
    def put(self, key: str, value: JsonDataTy) -> None:
        """Keep `value` under `key`, unless the backend fails."""
        try:
            super().put(key, value)
        except Exception as error:  # noqa: BLE001 - the boundary to the user's compilation
            self._say_once("put", error)

    @override
    def _get(self, key: str, sample: Sample | None) -> JsonDataTy | None:
        return super()._get(self._prefix + key, sample)

    @override
    def _put(self, key: str, value: JsonDataTy, sample: Sample | None) -> None:
        super()._put(self._prefix + key, value, sample)

    def _say_once(self, operation: str, error: Exception) -> None:
        # Imported here because it takes long, and is rarely needed.
        from absl import logging  # noqa: PLC0415

        logging.log_first_n(
            logging.WARNING,
            "A %s on %s failed, and compilation goes on without it; more may follow unannounced, "
            "see cache_counters: %s: %s",
            1,
            operation,
            type(self).__name__,
            type(error).__name__,
            error,
        )
