"""What decodes the store's messages meets what no writer writes: a typed error, or a sound value.

More with TORCHSTASH_TEST_EFFORT (1 is seconds).
"""

from collections import OrderedDict
from contextlib import suppress
from random import Random

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from torchstash.cache.disk import DiskBackend
from torchstash.content_store import ContentStoreError, ContentStoreWriter, InvalidNameError
from torchstash.content_store.metadata import Description, decode, parse_metadata
from torchstash.content_store.names import snapshot_key, tensor_key
from torchstash.content_store.parsed_snapshot import parse_snapshot
from torchstash.content_store.rebuild import rebuild, rebuild_plain
from torchstash.content_store.snapshot_decoder import SnapshotDecoder
from torchstash.proto.content_store.v1.tensor_metadata_pb2 import TensorMetadata
from torchstash.tests.content_store.wire_mutation import mutated
from torchstash.tests.faults.effort import effort

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*deprecated"),
    pytest.mark.filterwarnings("ignore:ComplexHalf"),
]

FUZZ = settings(
    max_examples=effort(1000),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
LARGEST_BYTES = 1 << 20


def tensors() -> dict[str, torch.Tensor]:
    """One of each sort that metadata tell apart."""
    base = torch.arange(24.0).reshape(4, 6)
    quantized = torch.quantize_per_tensor(base, 0.1, 3, torch.qint8)
    scales, points = torch.ones(4, dtype=torch.float64), torch.zeros(4, dtype=torch.int64)
    return {
        "plain": base,
        "view": base[1:, ::2].t(),
        "parameter": torch.nn.Parameter(base.bfloat16()),
        "conj": torch.ones(3, dtype=torch.complex64).conj(),
        "empty": torch.empty(0, 3),
        "scalar": torch.tensor(True),
        "quantized": quantized,
        "channels": torch.quantize_per_channel(base, scales, points, 0, torch.quint8),
        "double": base.double()[2],
    }


def state_dict() -> object:
    """A tree with every sort of value."""
    each = tensors()
    ordered: OrderedDict[object, object] = OrderedDict(w=each["view"], b=each["plain"])
    ordered._metadata = OrderedDict(version=1)  # type: ignore[attr-defined]
    return {
        "model": ordered,
        "state": [each, (1, -5, 2**70, 1.5, None, True, "text", b"octets")],
        (1, "key"): torch.Size([2, 3]),
        7: torch.float16,
        None: torch.device("cpu", 0),
    }


def touch(description: Description) -> torch.Tensor | None:
    """Rebuild what the description describes, and reach for each of its elements."""
    if description.storage_size_bytes > LARGEST_BYTES:
        return None
    storage = torch.UntypedStorage(description.storage_size_bytes)
    if description.plain is not None:
        tensor = rebuild_plain(description.plain, storage)
    else:
        tensor = rebuild(description.metadata, storage)
    assert storage.nbytes() == description.storage_size_bytes
    if 0 < tensor.numel() < 10_000 and not tensor.is_quantized:
        with suppress(NotImplementedError):  # Of some dtypes nothing can be computed.
            tensor.detach().clone()
    return tensor


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    with ContentStoreWriter(tmp_path_factory.mktemp("notes")) as writer:
        return [
            writer.compute_tensor_metadata(tensor).SerializeToString(deterministic=True)
            for tensor in tensors().values()
        ]


def slowly(data: bytes) -> TensorMetadata | type[ContentStoreError]:
    """What `parse_metadata` gives, or raises."""
    try:
        return parse_metadata(data, "x")
    except ContentStoreError as error:
        return type(error)


def quickly(data: bytes) -> TensorMetadata | type[ContentStoreError]:
    """The same by `decode`, which remembers common kinds."""
    try:
        digest, description = decode(data, "x")
    except ContentStoreError as error:
        return type(error)
    with suppress(ContentStoreError):
        touch(description)
    metadata = TensorMetadata()
    metadata.CopyFrom(description.metadata)
    metadata.storage_digest = digest
    return metadata


@FUZZ
@given(random=st.randoms(use_true_random=True))
def test_metadata(notes: list[bytes], random: Random) -> None:
    data = mutated(random.choice(notes), random)
    assert quickly(data) == slowly(data)


def test_a_digest_that_comes_twice(notes: list[bytes]) -> None:
    """The last one counts, as protobuf says, whatever it is."""
    for digest in (bytes(32), b"x" * 32, b"", b"x"):
        data = notes[0] + TensorMetadata(storage_digest=digest).SerializeToString()
        data += b"\x0a\x00" * (not digest)
        assert quickly(data) == slowly(data)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("manifest")
    with ContentStoreWriter(folder) as writer:
        writer.save_state_dict("x", state_dict())
    with DiskBackend(folder) as backend:
        data = backend.get("snapshots/x")
    assert data is not None
    return data


def load(data: bytes) -> object:
    """What `load_state_dict` does, without a store."""
    parsed = parse_snapshot(data, "x")
    rebuilt = [touch(description) for description in parsed.descriptions]
    if None in [None if tensor is None else 0 for tensor in rebuilt]:
        return None
    return SnapshotDecoder([t for t in rebuilt if t is not None], "x").decode(parsed.manifest.root)


def test_the_manifest_is_sound(manifest: bytes) -> None:
    loaded = load(manifest)
    assert isinstance(loaded, dict)
    assert list(loaded) == ["model", "state", (1, "key"), 7, None]


@FUZZ
@given(random=st.randoms(use_true_random=True))
def test_manifests(manifest: bytes, random: Random) -> None:
    with suppress(ContentStoreError):
        load(mutated(manifest, random))


@FUZZ
@given(data=st.binary(max_size=300))
def test_anything(data: bytes) -> None:
    for use in (lambda: load(data), lambda: decode(data, "x")):
        with suppress(ContentStoreError):
            use()


@FUZZ
@given(
    name=st.one_of(
        st.text(st.characters(exclude_categories=()), max_size=30),
        st.text(max_size=3).map(lambda text: text * 4000),
        st.sampled_from(["../x", "/x", "", "\0", "a", "a/b", "A", "x" * 10_240, "\ud800"]),
    )
)
def test_names(name: str) -> None:
    for prefix, key_of in (("tensors/", tensor_key), ("snapshots/", snapshot_key)):
        try:
            octets = name.encode()
        except UnicodeEncodeError:
            octets = b""
        if 1 <= len(octets) <= 1024:
            assert key_of(name) == prefix + name
        else:
            with pytest.raises(InvalidNameError):
                key_of(name)
