"""Batches cut into launches: what they cover, and what they need of the device's memory."""

from hypothesis import given, settings
from hypothesis import strategies as st

from torchstash.content_store.hashing.geometry import BARRIERS, NO_BARRIERS, Geometry
from torchstash.content_store.hashing.pieces import Content
from torchstash.content_store.hashing.plan import Launch, plan

GIB = 1 << 30
SIZES = st.integers(0, 100_000)
GEOMETRIES = st.builds(
    Geometry,
    span_rows=st.sampled_from([8, 16]),
    levels=st.integers(1, 3),
    piece_chunks=st.sampled_from([1, 4, 32]),
    padded_chunks=st.sampled_from([1, 8]),
)


def rows_of(launch: Launch) -> list[tuple[int, ...]]:
    """The rows of a table that stand for something."""
    return [row for row in zip(*launch.table.columns, strict=True) if row[0] < launch.items]


@settings(deadline=None, derandomize=True)
@given(sizes=st.lists(SIZES, min_size=1, max_size=8), geometry=GEOMETRIES, odd=st.booleans())
def test_every_byte_is_in_one_run_and_windows_are_bounded(
    sizes: list[int], geometry: Geometry, odd: bool
) -> None:
    contents = [Content((i + 1) << 40 | odd, size) for i, size in enumerate(sizes)]
    work = plan(contents, geometry)
    covered = 0
    for window in work.windows:
        assert window.rows <= geometry.piece_chunks
        padded = 0 if window.padding is None else window.padding.items
        assert padded <= geometry.padded_chunks
        for _, address, size_bytes, _, _, is_padded in rows_of(window.chunks):
            covered += size_bytes
            assert is_padded or (address % 16 == 0 and size_bytes % 1024 == 0)
            assert not is_padded or address < padded * 1024
    assert covered == sum(sizes)


@settings(deadline=None, derandomize=True)
@given(sizes=st.lists(SIZES, min_size=1, max_size=8), geometry=GEOMETRIES)
def test_stages_leave_a_row_for_each_storage(sizes: list[int], geometry: Geometry) -> None:
    work = plan([Content((i + 1) << 40, size) for i, size in enumerate(sizes)], geometry)
    left = [
        window.stages[-1].target_rows if window.stages else window.rows for window in work.windows
    ]
    if work.joining:
        assert work.joining[-1].target_rows == len(sizes)
    else:
        assert sum(left) == len(sizes)


def test_launches_of_a_large_storage() -> None:
    """Chunks and two stages; without barriers, a stage for each level."""
    (window,) = plan([Content(1 << 20, GIB)], BARRIERS).windows
    assert window.padding is None
    assert len(window.stages) == 2
    assert len(plan([Content(1 << 20, GIB)], NO_BARRIERS).windows[0].stages) == 20


def test_a_batch_has_as_many_launches_as_one() -> None:
    many = plan([Content(i << 20, 1 << 20) for i in range(64)], BARRIERS)
    assert len(many.windows) == 1
    assert len(many.windows[0].stages) == 1
    assert many.joining == ()


def test_beyond_32_bits() -> None:
    """Chunk numbers, addresses and sizes of a storage of 5 TiB."""
    work = plan([Content(1 << 45, 5 << 40)], BARRIERS)
    assert len(work.windows) == 5 << 10
    _, address, size_bytes, first_chunk, _, _ = rows_of(work.windows[-1].chunks)[0]
    assert (address + size_bytes, size_bytes) == ((1 << 45) + (5 << 40), GIB)
    assert first_chunk == (5 << 30) - (1 << 20)
    assert work.joining[-1].target_rows == 1
