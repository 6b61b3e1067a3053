"""Metadata from a damaged or hostile store: a typed error, never a crash or foreign memory."""

import math
from contextlib import suppress

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from torchstash.cache.digest import Digest
from torchstash.cache.disk import DiskBackend, Put
from torchstash.content_store import (
    ContentStoreError,
    ContentStoreReader,
    CorruptMetadataError,
    UnsupportedDtypeError,
)
from torchstash.content_store.metadata import parse_metadata
from torchstash.content_store.rebuild import rebuild
from torchstash.proto.content_store.v1.tensor_metadata_pb2 import (
    Device,
    PerChannelAffine,
    PerTensorAffine,
    TensorMetadata,
)
from torchstash.tests.content_store.storages import all_dtypes
from torchstash.tests.content_store.store_fixtures import Store, store

__all__ = ["store"]  # A fixture that pytest finds here.

MANY = settings(max_examples=400, deadline=None, derandomize=True)
STORAGE_BYTES = 64


def sound(**changes: object) -> TensorMetadata:
    """The metadata of a 4 x 4 float32 tensor over 64 bytes, with changes."""
    fields: dict[str, object] = {
        "storage_digest": bytes(32),
        "storage_size_bytes": STORAGE_BYTES,
        "dtype": "float32",
        "sizes": [4, 4],
        "strides": [4, 1],
        "device": Device(type="cpu"),
    }
    return TensorMetadata(**(fields | changes))  # type: ignore[arg-type]


def parsed(metadata: TensorMetadata) -> TensorMetadata:
    return parse_metadata(metadata.SerializeToString(), "x")


def test_the_base_of_the_table_is_sound() -> None:
    assert parsed(sound()) == sound()


HUGE = 2**63 - 1
DAMAGED = {
    "digest_short": {"storage_digest": bytes(31)},
    "digest_long": {"storage_digest": bytes(33)},
    "digest_absent": {"storage_digest": b""},
    "dtype_absent": {"dtype": ""},
    "device_absent": {"device": None},
    "device_empty": {"device": Device()},
    "negative_size": {"sizes": [-1, 4]},
    "negative_stride": {"strides": [-4, 1]},
    "negative_offset": {"storage_offset_elements": -1},
    "more_sizes": {"sizes": [4, 4, 1]},
    "more_strides": {"strides": [4, 1, 1]},
    "one_too_far": {"storage_offset_elements": 1},
    "stride_too_far": {"strides": [5, 1]},
    "size_too_far": {"sizes": [5, 4]},
    "offset_overflows": {"storage_offset_elements": HUGE},
    "stride_overflows": {"strides": [HUGE, HUGE]},
    "size_overflows": {"sizes": [HUGE, HUGE], "strides": [0, 0]},
    "wider_dtype": {"dtype": "float64"},
    "storage_too_small": {"storage_size_bytes": 63},
    "storage_empty": {"storage_size_bytes": 0},
    "storage_too_large_to_be": {"storage_size_bytes": 2**64 - 1},
    "conj_of_reals": {"is_conj": True},
    "gradient_of_integers": {"dtype": "int32", "requires_grad": True},
    "quantizer_of_floats": {"per_tensor_affine": PerTensorAffine(scale=1)},
    "no_quantizer": {"dtype": "qint8"},
    "neg_of_quantized": {
        "dtype": "qint8",
        "is_neg": True,
        "per_tensor_affine": PerTensorAffine(scale=1),
    },
    "scale_zero": {"dtype": "qint8", "per_tensor_affine": PerTensorAffine()},
    "scale_nan": {"dtype": "qint8", "per_tensor_affine": PerTensorAffine(scale=math.nan)},
    "axis_outside": {
        "dtype": "qint8",
        "per_channel_affine": PerChannelAffine(scales=[1] * 4, zero_points=[0] * 4, axis=2),
    },
    "axis_negative": {
        "dtype": "qint8",
        "per_channel_affine": PerChannelAffine(scales=[1] * 4, zero_points=[0] * 4, axis=-1),
    },
    "channels_too_few": {
        "dtype": "qint8",
        "per_channel_affine": PerChannelAffine(scales=[1] * 3, zero_points=[0] * 4),
    },
    "zero_points_too_few": {
        "dtype": "qint8",
        "per_channel_affine": PerChannelAffine(scales=[1] * 4, zero_points=[0] * 3),
    },
    "zero_points_twice": {
        "dtype": "quint8",
        "per_channel_affine": PerChannelAffine(
            scales=[1] * 4, zero_points=[0] * 4, float_zero_points=[0] * 4
        ),
    },
    "packed_view": {
        "dtype": "quint4x2",
        "strides": [1, 4],
        "storage_size_bytes": 8,
        "per_tensor_affine": PerTensorAffine(scale=1),
    },
    "packed_beyond_its_storage": {
        "dtype": "quint4x2",
        "per_tensor_affine": PerTensorAffine(scale=1),
    },
}


@pytest.mark.parametrize("changes", DAMAGED.values(), ids=DAMAGED)
def test_contradictions(changes: dict[str, object]) -> None:
    with pytest.raises(
        CorruptMetadataError, match=r"tensor 'x' is damaged.*write the tensor again"
    ):
        parsed(sound(**changes))


def test_dtypes_of_another_pytorch() -> None:
    for name in ("float3", "torch.float32", "Float32", "__doc__", "\n"):
        with pytest.raises(UnsupportedDtypeError, match="PyTorch"):
            parsed(sound(dtype=name))


def test_devices_of_another_pytorch(store: Store) -> None:
    store.writer.write_tensor("x", torch.ones(3))
    metadata = store.reader.read_tensor_metadata("x")
    for kind, index in (("toaster", 0), ("cpu:1:2", 0), ("", 0), ("cuda", 2**31), ("\0", 1)):
        metadata.device.type = kind
        metadata.device.index = index
        with DiskBackend(store.location) as backend:
            digest = Digest(metadata.storage_digest)
            backend.commit([Put("tensors/x", None, digest, metadata.SerializeToString())])
        with pytest.raises(ContentStoreError):
            store.reader.read_tensor("x")
        if kind:
            assert torch.equal(store.reader.read_tensor("x", device="cpu"), torch.ones(3))


def use(metadata: TensorMetadata) -> None:
    """Touches each element that the metadata reaches, in a storage of its size."""
    storage = torch.UntypedStorage(metadata.storage_size_bytes)
    tensor = rebuild(metadata, storage)
    assert storage.nbytes() == metadata.storage_size_bytes
    if 0 < tensor.numel() < 10_000 and not tensor.is_quantized:
        with suppress(NotImplementedError):  # Of some dtypes nothing can be computed.
            tensor.detach().clone()


@MANY
@given(data=st.binary(max_size=200))
def test_random_bytes(data: bytes) -> None:
    with suppress(CorruptMetadataError, UnsupportedDtypeError):
        parse_metadata(data, "x")


EDGES = st.one_of(
    st.integers(-2, 9), st.sampled_from([2**31, 2**32, 2**62, 2**63 - 1, -(2**63), 2**40])
)
MESSAGES = st.builds(
    sound,
    storage_size_bytes=st.integers(0, 128),
    dtype=st.sampled_from([str(d).removeprefix("torch.") for d in all_dtypes()]),
    sizes=st.lists(EDGES, max_size=4),
    strides=st.lists(EDGES, max_size=4),
    storage_offset_elements=EDGES,
    is_conj=st.booleans(),
    is_neg=st.booleans(),
    requires_grad=st.booleans(),
    is_parameter=st.booleans(),
    per_tensor_affine=st.none() | st.builds(PerTensorAffine, scale=st.floats(), zero_point=EDGES),
)


@MANY
@given(metadata=MESSAGES)
@pytest.mark.filterwarnings("ignore:.*deprecated")
@pytest.mark.filterwarnings("ignore:ComplexHalf")
def test_random_messages(metadata: TensorMetadata) -> None:
    with suppress(ContentStoreError):
        use(parsed(metadata))


@MANY
@given(
    sizes=st.lists(st.integers(0, 5), max_size=4),
    strides=st.lists(st.integers(0, 9), max_size=4),
    offset=st.integers(0, 20),
    dtype=st.sampled_from(["uint8", "bfloat16", "float32", "complex128"]),
)
def test_views_that_fit_and_views_that_do_not(
    sizes: list[int], strides: list[int], offset: int, dtype: str
) -> None:
    """Judged as PyTorch's own `as_strided` judges them."""
    strides = (strides + [1] * 4)[: len(sizes)]
    base = torch.empty(0, dtype=getattr(torch, dtype)).set_(torch.UntypedStorage(STORAGE_BYTES))
    try:
        expected = torch.as_strided(base, sizes, strides, offset)
    except RuntimeError:
        expected = None
    try:
        metadata = parsed(
            sound(dtype=dtype, sizes=sizes, strides=strides, storage_offset_elements=offset)
        )
    except CorruptMetadataError:
        assert expected is None
    else:
        assert expected is not None
        use(metadata)


@MANY
@given(st.data())
def test_mutated_bytes(data: st.DataObject) -> None:
    """Sound metadata with a few bytes changed, inserted or cut away."""
    octets = bytearray(sound(is_neg=True, is_parameter=True).SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(octets) - 1))
        end = at + data.draw(st.integers(0, 1))
        octets[at:end] = data.draw(st.binary(max_size=2))
    with suppress(ContentStoreError):
        metadata = parse_metadata(bytes(octets), "x")
        if metadata.storage_size_bytes < 1 << 20:
            use(metadata)


def test_a_storage_of_another_size(store: Store) -> None:
    """The metadata is sound by itself, and the store has other bytes under that digest."""
    store.writer.write_tensor("x", torch.ones(3))
    metadata = store.reader.read_tensor_metadata("x")
    metadata.storage_size_bytes += 4
    with DiskBackend(store.location) as backend:
        digest = Digest(metadata.storage_digest)
        backend.commit([Put("tensors/x", None, digest, metadata.SerializeToString())])
    for cache in (False, True):
        with pytest.raises(CorruptMetadataError, match="16 bytes, and the store has 12"):
            ContentStoreReader(store.location, cache=cache).read_tensor("x")


def test_metadata_of_another_storage(store: Store) -> None:
    store.writer.write_tensor("x", torch.ones(3))
    metadata = store.reader.read_tensor_metadata("x")
    with DiskBackend(store.location) as backend:
        backend.commit([Put("tensors/x", b"other", note=metadata.SerializeToString())])
    with pytest.raises(CorruptMetadataError, match="gives the storage"):
        store.reader.read_tensor("x")


def test_no_metadata(store: Store) -> None:
    with DiskBackend(store.location) as backend:
        backend.put("tensors/x", b"anything")
    with pytest.raises(CorruptMetadataError, match="has no metadata"):
        store.reader.read_tensor("x")
