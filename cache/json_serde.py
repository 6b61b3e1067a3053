"""Values as JSON (RFC 8259), in ASCII."""

import json
from typing import TypeAlias, Union

from typing_extensions import override

from torchstash.cache.serde import RemoteCacheSerde

JsonDataTy: TypeAlias = Union[  # noqa: UP007 - `|` cannot join a type and a name to come
    int, float, str, bool, dict[str, "JsonDataTy"], list["JsonDataTy"], None
]


class RemoteCacheJsonSerde(RemoteCacheSerde[JsonDataTy, bytes]):
    """JSON objects as bytes. A top-level None cannot be kept: it reads as a miss.

    Raises:
        TypeError: From `encode`: JSON has no such type.
        ValueError: From `decode`: the bytes are no JSON (`json.JSONDecodeError`) or no UTF-8.
    """

    @override
    def encode(self, data: JsonDataTy) -> bytes:
        return json.dumps(data).encode("ascii")

    @override
    def decode(self, data: bytes) -> JsonDataTy:
        value: JsonDataTy = json.loads(data)
        return value
