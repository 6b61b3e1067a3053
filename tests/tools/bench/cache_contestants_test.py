"""Each store keeps what it is given, and is found out when it does not."""

import sys
from pathlib import Path

import pytest

from torchstash.cache import MemorySink
from torchstash.tools.bench.caching import disk, overhead, stores
from torchstash.tools.bench.caching.values import Values
from torchstash.tools.bench.contestant import Contestant
from torchstash.tools.bench.errors import UnavailableError, WrongResultError
from torchstash.tools.bench.measure import Effort, measure
from torchstash.tools.bench.result import Case

_EFFORT = Effort(rounds=2, budget_seconds=0.05, sample_seconds=1e-4)


@pytest.mark.parametrize("contestants", [overhead.contestants(), disk.gets(), disk.puts()])
@pytest.mark.parametrize("size_bytes", [8, 1 << 16])
def test_everyone_does_the_work(
    contestants: list[Contestant[Values]], size_bytes: int, tmp_path: Path
) -> None:
    case = Case("case", size_bytes)
    for result in measure(case, contestants, Values(size_bytes, tmp_path), _EFFORT):
        assert result.problem is None, result
        assert result.seconds


def test_samples_that_are_compared_say_the_same(tmp_path: Path) -> None:
    said = []
    for contestant in overhead.contestants(sink := MemorySink()):
        if contestant.name in (overhead.OURS_SAMPLED, overhead.TORCH_SAMPLED):
            contestant.prepare(Values(0, tmp_path)).call()
            said.append({field.name for field, _ in sink.samples[-1].ListFields()})
    assert len(sink.samples) == 2
    assert said[0] == said[1]
    assert len(said[0]) == 11


@pytest.mark.parametrize("name", list(stores.STORES))
def test_a_store_keeps_what_was_put_last(name: str, tmp_path: Path) -> None:
    store = stores.STORES[name](tmp_path)
    assert store.get("key") is None
    for value in (b"first", b"second" * 20000):
        store.put("key", value)
        assert store.get("key") == value
    store.close()


@pytest.mark.parametrize("contestants", [disk.gets, disk.puts])
def test_a_store_that_forgets_is_found_out(
    contestants: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgetful = stores.Store(lambda _: None, lambda _, __: None)
    monkeypatch.setattr(disk, "STORES", {"forgetful": lambda _: forgetful})
    assert callable(contestants)
    [contestant] = contestants()
    trial = contestant.prepare(Values(8, tmp_path))
    with pytest.raises(WrongResultError):
        trial.check(trial.call())


def test_a_package_that_is_missing_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "diskcache", None)
    with pytest.raises(UnavailableError, match="pip install diskcache"):
        stores.disk_cache(tmp_path)
