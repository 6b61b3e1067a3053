import json

import pytest

from torchstash.cache import (
    CacheSample,
    DecodeError,
    JsonDataTy,
    RemoteCacheJsonSerde,
    RemoteCachePassthroughSerde,
    RemoteCacheProtoSerde,
)
from torchstash.proto.content_store.v1.tensor_metadata_pb2 import TensorMetadata


@pytest.mark.parametrize(
    "value",
    [0, "", [], {}, False, 1.5, "\u6f22\0\ud800", {"data": "eA==", "n": [1, {"x": None}]}],
)
def test_json_round_trip(value: JsonDataTy) -> None:
    serde = RemoteCacheJsonSerde()
    data = serde.encode(value)
    assert type(data) is bytes
    assert data.isascii()
    assert serde.decode(data) == value


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe\xfd", b"nul"])
def test_what_is_no_json_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"Expecting|decode"):
        RemoteCacheJsonSerde().decode(data)


def test_what_json_has_not_is_refused() -> None:
    with pytest.raises(TypeError):
        RemoteCacheJsonSerde().encode({"a": b"bytes"})  # type: ignore[dict-item]


def test_json_reads_what_json_wrote() -> None:
    assert RemoteCacheJsonSerde().encode({"a": 1}) == json.dumps({"a": 1}).encode()


def test_passthrough_changes_nothing() -> None:
    value = object()
    serde: RemoteCachePassthroughSerde[object] = RemoteCachePassthroughSerde()
    assert serde.encode(value) is value
    assert serde.decode(value) is value


def test_proto_round_trip() -> None:
    serde = RemoteCacheProtoSerde(CacheSample)
    for message in (CacheSample(), CacheSample(key="k", value_size_bytes=0)):
        found = serde.decode(serde.encode(message))
        assert found == message
        assert found.HasField("value_size_bytes") == message.HasField("value_size_bytes")


def test_proto_refuses_other_messages_and_broken_bytes() -> None:
    serde = RemoteCacheProtoSerde(CacheSample)
    with pytest.raises(TypeError, match="CacheSample"):
        serde.encode(TensorMetadata())  # type: ignore[arg-type]
    with pytest.raises(DecodeError, match="CacheSample"):
        serde.decode(b"\xff\xff\xff")
