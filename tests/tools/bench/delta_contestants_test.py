"""Everyone saves what is loaded again, and is found out otherwise."""

from pathlib import Path

import pytest

from torchstash.tools.bench.contestant import Contestant
from torchstash.tools.bench.deltas import contestants, keepers
from torchstash.tools.bench.deltas.versions import Versions, is_equal
from torchstash.tools.bench.errors import WrongResultError
from torchstash.tools.bench.measure import Effort, measure
from torchstash.tools.bench.result import Case

_EFFORT = Effort(rounds=2, budget_seconds=0.05, sample_seconds=1e-4)
_SIZE_BYTES = 1 << 20


@pytest.mark.parametrize("those", [contestants.saves(), contestants.loads()])
def test_everyone_does_the_work(those: list[Contestant[Versions]], tmp_path: Path) -> None:
    versions = Versions(_SIZE_BYTES, tmp_path)
    for result in measure(Case("case", _SIZE_BYTES), those, versions, _EFFORT):
        assert result.problem is None, result
        assert result.seconds
    kept = versions.stored_bytes
    if kept:
        assert kept[keepers.OURS] < 0.03 * _SIZE_BYTES < kept[keepers.OURS_IN_FULL]


def test_versions_differ_a_little(tmp_path: Path) -> None:
    versions = Versions(_SIZE_BYTES, tmp_path)
    first, second = versions.changed
    assert sum(tensor.nbytes for tensor in first.values()) == _SIZE_BYTES
    assert not is_equal(first, second)
    for name, tensor in versions.base.items():
        differing = (tensor != first[name]).sum().item() / len(tensor)
        assert 0.005 < differing < 0.015


def test_who_forgets_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forgetful = keepers.Keeper(lambda _: None, dict, lambda: 0)
    monkeypatch.setattr(contestants, "KEEPERS", {"forgetful": lambda _, __: forgetful})
    for those in (contestants.saves(), contestants.loads()):
        trial = those[0].prepare(Versions(_SIZE_BYTES, tmp_path))
        with pytest.raises(WrongResultError):
            trial.check(trial.call())
