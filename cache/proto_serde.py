"""Values that are protobuf messages of one type."""

from typing import Generic, TypeVar

from google.protobuf.message import DecodeError as ProtobufDecodeError
from google.protobuf.message import Message
from typing_extensions import override

from torchstash.cache.errors import DecodeError
from torchstash.cache.serde import RemoteCacheSerde

M = TypeVar("M", bound=Message)


class RemoteCacheProtoSerde(RemoteCacheSerde[M, bytes], Generic[M]):
    """Messages of `message_type` in protobuf's wire format, deterministically.

    Equal messages of one version of the library make equal bytes, so that a store keeps them once.

    Raises:
        DecodeError: From `decode`: the bytes are no such message.
        TypeError: From `encode`: the value is a message of another type.
    """

    def __init__(self, message_type: type[M]) -> None:
        self._message_type = message_type

    @override
    def encode(self, data: M) -> bytes:
        if not isinstance(data, self._message_type):
            raise TypeError(
                f"this serde is for {self._message_type.__name__}, not {type(data).__name__}"
            )
        return data.SerializeToString(deterministic=True)

    @override
    def decode(self, data: bytes) -> M:
        try:
            return self._message_type.FromString(data)
        except ProtobufDecodeError as error:
            raise DecodeError(
                f"{len(data)} bytes are no {self._message_type.__name__} ({error}); "
                "was something else put under this key?"
            ) from error
