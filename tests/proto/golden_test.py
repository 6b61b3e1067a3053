"""The golden files beside each schema: what was written by one version is read by all later ones.

A change of a field's number or type, or of an enum's value, changes these bytes. The files never
change; a new field gets a new file.
"""

from pathlib import Path

import pytest
from google.protobuf import text_format
from google.protobuf.message import Message

from torchstash.proto.cache.v1 import cache_sample_pb2
from torchstash.proto.content_store.v1 import (
    snapshot_manifest_pb2,
    storage_delta_pb2,
    tensor_metadata_pb2,
)

_PROTO = Path(__file__).absolute().parent.parent.parent / "proto"

_SCHEMAS = {
    "cache/v1/cache_sample": cache_sample_pb2.CacheSample,
    "cache/v1/cache_sample_attributes": cache_sample_pb2.CacheSample,
    "content_store/v1/snapshot_manifest": snapshot_manifest_pb2.SnapshotManifest,
    "content_store/v1/snapshot_manifest_delta": snapshot_manifest_pb2.SnapshotManifest,
    "content_store/v1/storage_delta": storage_delta_pb2.StorageDelta,
    "content_store/v1/tensor_metadata": tensor_metadata_pb2.TensorMetadata,
}


@pytest.fixture(params=_SCHEMAS)
def golden(request: pytest.FixtureRequest) -> tuple[Message, bytes]:
    stem = _PROTO / request.param
    text = stem.with_suffix(".golden.txtpb").read_text(encoding="utf-8")
    encoded = stem.with_suffix(".golden.binpb").read_bytes()
    return text_format.Parse(text, _SCHEMAS[request.param]()), encoded


def test_encodes_to_the_golden_bytes(golden: tuple[Message, bytes]) -> None:
    message, encoded = golden
    assert message.SerializeToString(deterministic=True) == encoded


def test_decodes_the_golden_bytes(golden: tuple[Message, bytes]) -> None:
    message, encoded = golden
    assert type(message).FromString(encoded) == message


def test_every_field_is_golden() -> None:
    present: dict[type[Message], set[str]] = {}
    for stem, kind in _SCHEMAS.items():
        encoded = (_PROTO / stem).with_suffix(".golden.binpb").read_bytes()
        message = kind()
        message.ParseFromString(encoded)
        names = {field.name for field, _ in message.ListFields()}
        present[kind] = present.get(kind, set()) | names
    for kind, names in present.items():
        fields = {field.name for field in kind.DESCRIPTOR.fields if field.containing_oneof is None}
        assert fields <= names | {"_" + name for name in names}


def test_unknown_fields_survive_a_round_trip(golden: tuple[Message, bytes]) -> None:
    message, encoded = golden
    later = encoded + b"\xfa\x3f\x03new"  # Field 1023, length-delimited.
    assert type(message).FromString(later).SerializeToString(deterministic=True) == later
