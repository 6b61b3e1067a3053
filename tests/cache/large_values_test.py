"""Large values are in memory once: what a get gives, and what a put was given."""

import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from torchstash.cache import RemoteCacheBackend
from torchstash.cache.buffers import BytesToFill, whole_bytes
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
    assert _peak_bytes(lambda: engine.get("key")) < 1.5 * _SIZE_BYTES
    assert engine.get("key") == value


def test_an_envelope_is_made_and_opened_by_one_copy() -> None:
    class Keeping(RemoteCacheBackend[bytes]):
        kept = b""

        def _get(self, key: str) -> bytes | None:
            return self.kept

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


def test_whole_bytes_are_not_copied() -> None:
    value = content(1000)
    assert whole_bytes(memoryview(value)) is value
    assert whole_bytes(memoryview(value)[1:]) == value[1:]
    assert whole_bytes(memoryview(bytearray(value))) == value
