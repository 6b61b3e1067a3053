"""The bytes of an envelope, written down: what one version wrote, all later ones read."""

import hmac

import pytest

from torchstash.cache import Digest, MemoryBackend
from torchstash.cache.envelope import Compression, Envelope, SigningKey

_SECRET = bytes(range(32))

# Magic, version, codec, signature, length of the key id; payload size; value size; BLAKE3 of the
# payload; binding; key id; HMAC-SHA256; payload.
_PLAIN = """
    8a545345 01 00 00 00
    0500000000000000
    0500000000000000
    ea8f163db38682925e4491c5e58d4bb3506ef8c14eb78a86e908c5624a67200f
    4521a1f006e1491eee4d6c10aade30c4
    68656c6c6f
"""
_SIGNED = """
    8a545345 01 00 01 02
    0500000000000000
    0500000000000000
    ea8f163db38682925e4491c5e58d4bb3506ef8c14eb78a86e908c5624a67200f
    3887765a1cd86a2170ada8d586081083
    6b31
    4442d4ace42c9bb58926393023dfff6bc81b6daa0eeec0b391749a2936d4c5ff
    68656c6c6f
"""
_COMPRESSED = """
    8a545345 01 01 01 02
    1300000000000000
    0010000000000000
    d692413e2d9d672ba4efadaf7bd2c990b8d759f511ab4fc3663e869a324c321d
    cad88535ba64999184c745fabd91d1e5
    6b31
    9e043bd2f44b68015d9da7e61d23c92183e363d45e4304f2a1445c492ff876d9
    28b52ffd60000f4d00001000000100fbf70116
"""


def _signed(inner: MemoryBackend) -> Envelope:
    return Envelope(inner, namespace="ns", signing_keys=[SigningKey("k1", _SECRET)])


@pytest.mark.parametrize(
    ("make", "golden", "key", "value"),
    [
        (Envelope, _PLAIN, "k\u00e9y", b"hello"),
        (_signed, _SIGNED, "key", b"hello"),
        (_signed, _COMPRESSED, "z", bytes(4096)),
    ],
    ids=["plain", "signed", "compressed"],
)
def test_golden_bytes(make: type[Envelope], golden: str, key: str, value: bytes) -> None:
    envelope = bytes.fromhex(golden)
    inner = MemoryBackend()
    backend = make(inner)
    inner.put(key, envelope)
    assert backend.get(key) == value
    backend.put(key, value)
    written = inner.get(key)
    # Another version of zstd may compress differently.
    assert written == envelope or golden is _COMPRESSED


def test_the_table_of_the_documentation() -> None:
    """Every field by its offset, computed from what docs/envelope.md says."""
    inner = MemoryBackend()
    keys = [SigningKey("k1", _SECRET)]
    Envelope(inner, namespace="n\u00e9", compression=Compression(), signing_keys=keys).put(
        "k\u00e9y", b"hello"
    )
    data = inner.get("k\u00e9y")
    assert data is not None
    namespace, key = "n\u00e9".encode(), "k\u00e9y".encode()
    assert data[0:8] == b"\x8aTSE\x01\x00\x01\x02"
    assert int.from_bytes(data[8:16], "little") == int.from_bytes(data[16:24], "little") == 5
    assert data[24:56] == Digest.of(b"hello").raw
    length = len(namespace).to_bytes(8, "little")
    entry = length + len(key).to_bytes(8, "little") + namespace + key
    assert data[56:72] == Digest.of(entry + data[:56]).raw[:16]
    assert data[72:74] == b"k1"
    signed = entry + data[:74] + b"hello"
    assert data[74:106] == hmac.digest(_SECRET, signed, "sha256")
    assert data[106:] == b"hello"
