"""Large values are in memory once: what a get gives, and what a put was given."""

import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typing_extensions import override

from torchstash.cache import RemoteCacheBackend, open_backend
from torchstash.cache.buffers import BytesToFill, PartsToFill, whole_bytes
from torchstash.cache.envelope import Envelope
from torchstash.tests.cache.backend_contract import content
from torchstash.tests.cache.faults.engines import ENGINES, bare

_SIZE_BYTES = 8 << 20
_PATIENT = "timeout=60s&connect_timeout=60s"


def _peak_bytes(work: Callable[[], object]) -> int:
    """How much more was allocated by Python at once than before."""
    tracemalloc.start()
    try:
        result = work()
        _, peak_bytes = tracemalloc.get_traced_memory()
        del result
        return peak_bytes
    finally:
        tracemalloc.stop()


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RemoteCacheBackend[bytes]]:
    kind = ENGINES[request.param]
    server = kind.start(tmp_path)
    with server:
        yield bare(f"{kind.url(server.host, server.port, False)}&{_PATIENT}")


def test_engines_hold_a_value_once(engine: RemoteCacheBackend[bytes]) -> None:
    value = content(_SIZE_BYTES)
    engine.put("warm", b"x")
    # Beside the pieces of 1 MiB that a stream is cut into, a few at a time.
    assert _peak_bytes(lambda: engine.put("key", value)) < _SIZE_BYTES // 2
    assert _peak_bytes(lambda: engine.get("key")) < 1.3 * _SIZE_BYTES
    assert engine.get("key") == value


@pytest.mark.parametrize("options", ["", "&compression=none"])
@pytest.mark.parametrize("name", ["redis", "s3", "http", "bazel_http"])
def test_a_chain_holds_a_value_once(name: str, options: str, tmp_path: Path) -> None:
    kind = ENGINES[name]
    value = content(_SIZE_BYTES)
    with kind.start(tmp_path) as server:
        url = f"{kind.url(server.host, server.port, False)}&{_PATIENT}&breaker_lost=60s{options}"
        backend = open_backend(url)
        backend.put("warm", b"x")
        # Beside the slices of a value that show whether compressing it pays, and the pieces of a
        # stream, a few at a time.
        assert _peak_bytes(lambda: backend.put("key", value)) < 0.15 * _SIZE_BYTES
        assert _peak_bytes(lambda: backend.get("key")) < 1.3 * _SIZE_BYTES
        assert backend.get("key") == value


def test_an_envelope_is_made_and_opened_by_one_copy() -> None:
    class Keeping(RemoteCacheBackend[bytes]):
        kept = b""

        @override
        def _get(self, key: str) -> bytes | None:
            return self.kept

        @override
        def _put(self, key: str, data: bytes) -> None:
            self.kept = data

    value = content(_SIZE_BYTES)
    backend = Envelope(Keeping(), compression=None)
    assert _peak_bytes(lambda: backend.put("key", value)) < 1.1 * _SIZE_BYTES
    assert _peak_bytes(lambda: backend.get("key")) < 1.1 * _SIZE_BYTES


def test_bytes_are_filled_in_place() -> None:
    for size_bytes in (0, 1, 1000, _SIZE_BYTES):

        def fill(size_bytes: int = size_bytes) -> bytes:
            filled = BytesToFill(size_bytes)
            filled.view[:] = memoryview(content(_SIZE_BYTES))[:size_bytes]
            return filled.finish()

        content(_SIZE_BYTES)
        assert _peak_bytes(fill) < size_bytes + 4096
        assert fill() == content(_SIZE_BYTES)[:size_bytes]
        assert type(fill()) is bytes


@pytest.mark.parametrize(("size_bytes", "head_bytes"), [(100, 10), (100, 0), (5, 10), (0, 0)])
@pytest.mark.parametrize("piece_bytes", [1, 7, 1000])
def test_two_parts_are_filled_piece_by_piece(
    size_bytes: int, head_bytes: int, piece_bytes: int
) -> None:
    value = content(size_bytes)
    filled = PartsToFill(size_bytes, head_bytes)
    for start in range(0, size_bytes, piece_bytes):
        filled.add(value[start : start + piece_bytes])
    assert filled.received_bytes == size_bytes
    filled.add(b"beyond")
    assert filled.received_bytes == size_bytes + 6
    assert filled.finish() == (value[:head_bytes], value[head_bytes:])


def test_whole_bytes_are_not_copied() -> None:
    value = content(1000)
    assert whole_bytes(memoryview(value)) is value
    assert whole_bytes(memoryview(value)[1:]) == value[1:]
    assert whole_bytes(memoryview(bytearray(value))) == value
