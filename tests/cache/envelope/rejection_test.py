"""What is not exactly what was put is a miss, before a byte of it is decoded."""

from typing import Any

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from torchstash.cache import (
    MemoryBackend,
    MemorySink,
    RemoteCache,
    RemoteCachePassthroughSerde,
)
from torchstash.cache.digest import digest_bytes
from torchstash.cache.envelope import Compression, Envelope, SigningKey, zstandard
from torchstash.cache.envelope.frame import CODEC_ZSTD, Header, entry_name, pack_header
from torchstash.proto.cache.v1 import cache_sample_pb2 as pb
from torchstash.tests.cache.backend_contract import content
from torchstash.tests.faults.effort import effort

_KEY = SigningKey("key-1", bytes(range(32)))
_OTHER_KEY = SigningKey("key-2", bytes(range(1, 33)))
_ALWAYS = Compression(from_bytes=0)
_VALUES = st.binary(max_size=200) | st.binary(max_size=4).map(lambda part: part * 100)


def _sealed(value: bytes, key: str = "key", **options: Any) -> bytes:
    inner = MemoryBackend()
    Envelope(inner, **options).put(key, value)
    data = inner.get(key)
    assert data is not None
    return data


def _opened(data: bytes, key: str = "key", **options: Any) -> bytes | None:
    inner = MemoryBackend()
    inner.put(key, data)
    return Envelope(inner, **options).get(key)


def _reason(data: bytes, **options: Any) -> str:
    inner, sink = MemoryBackend(), MemorySink()
    inner.put("key", data)
    backend = Envelope(inner, **options)
    cache: RemoteCache[bytes] = RemoteCache(backend, RemoteCachePassthroughSerde(), sink=sink)
    assert cache.get("key") is None
    assert sink.samples[0].outcome == pb.OUTCOME_REJECTED
    return sink.samples[0].fail_reason


@pytest.fixture
def nothing_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise AssertionError("something was decoded")

    monkeypatch.setattr(zstandard, "decompress", fail)


@pytest.mark.usefixtures("nothing_is_decoded")
@pytest.mark.parametrize("options", [{}, {"signing_keys": [_KEY], "namespace": "ns"}])
def test_every_truncation_and_every_flipped_bit(options: dict[str, Any]) -> None:
    data = _sealed(bytes(300), compression=_ALWAYS, **options)
    for end in range(len(data)):
        assert _opened(data[:end], **options) is None
    assert _opened(data + b"\0", **options) is None
    for position in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[position] ^= 1 << bit
            assert _opened(bytes(changed), **options) is None, (position, bit)


@pytest.mark.usefixtures("nothing_is_decoded")
def test_the_value_of_another_key_or_namespace() -> None:
    for options in ({}, {"signing_keys": [_KEY]}):
        data = _sealed(b"x" * 2000, "key", namespace="ns", **options)
        assert _opened(data, "other", namespace="ns", **options) is None
        assert _opened(data, "key", namespace="n", **options) is None
        # The same bytes, divided differently between namespace and key.
        assert _opened(data, "skey", namespace="n", **options) is None
        assert "another key" in _reason(data, namespace="other", **options)


@pytest.mark.usefixtures("nothing_is_decoded")
def test_forgeries() -> None:
    value = b"x" * 2000
    assert "not signed" in _reason(_sealed(value), signing_keys=[_KEY])
    unknown = _sealed(value, signing_keys=[_OTHER_KEY])
    assert "unknown key" in _reason(unknown, signing_keys=[_KEY])
    guessed = SigningKey(_KEY.key_id, bytes(32))
    forged = _sealed(value, signing_keys=[guessed])
    assert "signature is wrong" in _reason(forged, signing_keys=[_KEY])


def test_keys_are_rotated() -> None:
    old, new = _sealed(b"v", signing_keys=[_KEY]), _sealed(b"v", signing_keys=[_OTHER_KEY, _KEY])
    for keys in ([_KEY, _OTHER_KEY], [_OTHER_KEY, _KEY]):
        assert _opened(old, signing_keys=keys) == b"v"
        assert _opened(new, signing_keys=keys) == b"v"
    assert _opened(new, signing_keys=[_OTHER_KEY]) == b"v"
    assert _opened(old, signing_keys=[_OTHER_KEY]) is None
    # Who has no keys trusts whoever can write.
    assert _opened(new) == b"v"


def _bomb(announced: int, payload: bytes) -> bytes:
    header = Header(CODEC_ZSTD, 0, 0, len(payload), announced, digest_bytes(payload))
    return pack_header(header, entry_name(b"", b"key")) + payload


def test_a_bomb_is_refused_before_anything_is_allocated(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = zstd.compress(bytes(10 << 20))
    assert "larger than" in _reason(_bomb(10 << 20, frame), max_value_bytes=1 << 20)
    assert "larger than" in _reason(_bomb(1 << 63, frame))

    def fail(**_: object) -> None:
        raise AssertionError("a decoder was made")

    monkeypatch.setattr(zstd, "ZstdDecompressor", fail)
    # The header lies about the frame, or the frame does not announce what it holds.
    for announced in (0, 100, (10 << 20) - 1, (10 << 20) + 1):
        assert "header says" in _reason(_bomb(announced, frame))
    compressor = zstd.ZstdCompressor()
    unannounced = compressor.compress(bytes(1000)) + compressor.flush()
    assert "header says" in _reason(_bomb(1000, unannounced))


@pytest.mark.parametrize(
    "payload",
    [
        zstd.compress(bytes(1000)) + b"\0",
        zstd.compress(bytes(1000)) * 2,
        zstd.compress(bytes(1000))[:-1],
        zstd.compress(bytes(1001)),
        b"",
        b"no frame at all",
    ],
)
def test_a_payload_that_is_not_one_frame_of_that_size(payload: bytes) -> None:
    assert "header says" in _reason(_bomb(1000, payload))


def test_a_window_beyond_the_limit_is_refused() -> None:
    options = {int(zstd.CompressionParameter.window_log): 27}
    value = bytes(range(256)) * 4
    large = zstd.compress(value * (1 << 16), options=options)
    assert "header says" in _reason(_bomb(1 << 26, large))


@pytest.mark.parametrize(
    "data", [b"", b"plain", b"\x8aTSE", b"\x8aTSE\x02" + bytes(100), b"{" + b" " * 100]
)
def test_what_is_no_envelope(data: bytes) -> None:
    assert "'key' was rejected" in _reason(data)


@settings(max_examples=effort(100), deadline=None)
@given(value=_VALUES, key=st.text(max_size=20).filter(str.isprintable))
def test_round_trips(value: bytes, key: str) -> None:
    for options in ({}, {"compression": _ALWAYS}, {"compression": None, "signing_keys": [_KEY]}):
        assert _opened(_sealed(value, key, **options), key, **options) == value


@pytest.mark.parametrize("keys", [(), (_KEY,)], ids=["plain", "signed"])
@settings(max_examples=effort(300), deadline=None)
@given(value=_VALUES, mutate=st.data())
def test_no_mutation_is_accepted(
    keys: tuple[SigningKey, ...], value: bytes, mutate: st.DataObject
) -> None:
    data = _sealed(value, compression=_ALWAYS, signing_keys=keys)
    start = mutate.draw(st.integers(0, len(data)))
    end = mutate.draw(st.integers(start, len(data)))
    changed = data[:start] + mutate.draw(st.binary(max_size=50)) + data[end:]
    found = _opened(changed, signing_keys=keys)
    assert found == (value if changed == data else None)


@settings(max_examples=effort(100), deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_raise(data: bytes) -> None:
    magic = b"\x8aTSE\x01"
    for prefix in (b"", magic, magic + b"\x01\x01\x03"):
        assert _opened(prefix + data) is None


def test_samples_tell_the_size_that_is_kept() -> None:
    inner, sink = MemoryBackend(), MemorySink()
    cache: RemoteCache[bytes] = RemoteCache(
        Envelope(inner), RemoteCachePassthroughSerde(), sink=sink
    )
    cache.put("key", bytes(100_000))
    cache.get("key")
    kept = len(inner.get("key") or b"")
    assert kept < 200
    assert [sample.encoded_size_bytes for sample in sink.samples] == [kept, kept]
    assert [sample.value_size_bytes for sample in sink.samples] == [100_000, 100_000]


def test_compression_only_where_it_pays() -> None:
    incompressible = bytes(digest_bytes(bytes([i]))[0] for i in range(64))
    assert len(_sealed(incompressible, compression=_ALWAYS)) == 72 + 64
    assert len(_sealed(bytes(1023))) == 72 + 1023
    assert len(_sealed(bytes(1024))) < 72 + 100
    assert len(_sealed(bytes(100_000), compression=None)) == 72 + 100_000


def test_a_value_that_readers_would_reject_is_not_put() -> None:
    backend = Envelope(MemoryBackend(), max_value_bytes=10)
    backend.put("key", bytes(10))
    with pytest.raises(ValueError, match="raise max_value_bytes"):
        backend.put("key", bytes(11))


def test_a_large_value_is_compressed_where_slices_of_it_shrink() -> None:
    hard = content(8 << 20)
    assert len(_sealed(hard)) == 72 + len(hard)
    half = hard[: 4 << 20] + bytes(4 << 20)
    assert len(_sealed(half)) < 5 << 20
    assert _opened(_sealed(half)) == half
