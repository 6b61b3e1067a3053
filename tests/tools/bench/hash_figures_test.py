from collections.abc import Mapping

from torchstash.tools.bench.hashing import libraries, memory_read, ours, torch_peers
from torchstash.tools.bench.hashing.figures import figures
from torchstash.tools.bench.outcome import Figure
from torchstash.tools.bench.result import Case, Result

_GIB = Case("1 GiB", 1 << 30)
_MIB_64 = Case("64 MiB", 64 << 20)
_BATCH = Case("64 x 1 MiB", 64 << 20, operations=64)


def _found(results: list[Result]) -> Mapping[str, Figure]:
    return {figure.name: figure for figure in figures(results)}


def test_speeds_are_compared_at_the_largest_size() -> None:
    found = _found(
        [
            Result(ours.NAME, "cpu", _MIB_64, (1.0,)),
            Result(ours.NAME, "cpu", _GIB, (0.2,)),
            Result(torch_peers.DEFAULT_MODE, "cpu", _GIB, (30.0,)),
            Result(libraries.BLAKE3_ALL_THREADS, "cpu", _GIB, (0.1,)),
            Result(memory_read.ALL_THREADS, "cpu", _GIB, (0.05,)),
            Result(torch_peers.SHA1_MODE, "cpu", _GIB, problem="missing"),
        ]
    )
    assert {name: (figure.value, figure.is_reached) for name, figure in found.items()} == {
        f"cpu: ours / {torch_peers.DEFAULT_MODE}, 1 GiB, speed": (150.0, True),
        f"cpu: ours / {libraries.BLAKE3_ALL_THREADS}, 1 GiB, speed": (0.5, False),
        f"cpu: ours / {memory_read.ALL_THREADS}, 1 GiB, speed": (0.25, True),
    }


def test_goals_are_for_1_gib() -> None:
    found = _found(
        [
            Result(ours.NAME, "cpu", _MIB_64, (1.0,)),
            Result(torch_peers.DEFAULT_MODE, "cpu", _MIB_64, (2.0,)),
        ]
    )
    [figure] = found.values()
    assert (figure.value, figure.is_reached) == (2.0, None)


def test_a_batch_is_compared_with_one_storage_and_with_a_loop() -> None:
    found = _found(
        [
            Result(ours.NAME, "cuda", _MIB_64, (1.0,)),
            Result(ours.BATCH, "cuda", _BATCH, (3.0,)),
            Result(ours.ONE_BY_ONE, "cuda", _BATCH, (6.0,)),
        ]
    )
    together = found["cuda: 64 x 1 MiB at once / one of 64 MiB, time"]
    assert (together.value, together.is_reached) == (3.0, False)
    assert found["cuda: 64 x 1 MiB, at once / one by one, speed"].value == 2.0


def test_small_calls_have_a_goal_on_the_cpu() -> None:
    case = Case("4 KiB", 4096)
    found = _found(
        [Result(ours.NAME, "cpu", case, (4e-6,)), Result(ours.NAME, "cuda", case, (9e-6,))]
    )
    assert found["cpu: one call, 4 KiB"].is_reached
    assert found["cuda: one call, 4 KiB"].is_reached is None
