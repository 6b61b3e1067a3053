"""Checkpoints of each format, and the program as users run it, but for a moment."""

import json
from pathlib import Path

import pytest

from torchstash.tests.tools.bench.programs import run_benchmark
from torchstash.tools.bench.checkpointing import contestants, formats
from torchstash.tools.bench.checkpointing.state import State
from torchstash.tools.bench.contestant import Contestant
from torchstash.tools.bench.errors import WrongResultError

pytestmark = pytest.mark.filterwarnings("ignore:torch.distributed is disabled")


def test_each_change_is_new_and_of_a_tenth(tmp_path: Path) -> None:
    state = State(1 << 20, tmp_path)
    assert sum(tensor.nbytes for tensor in state.tensors.values()) == pytest.approx(1 << 20, 0.01)
    for _ in range(2):
        before = {name: tensor.clone() for name, tensor in state.tensors.items()}
        state.change_a_tenth()
        changed = [name for name in before if not before[name].equal(state.tensors[name])]
        assert sum(before[name].nbytes for name in changed) == pytest.approx((1 << 20) / 10, 0.01)


@pytest.mark.parametrize("name", list(formats.FORMATS))
def test_a_format_keeps_what_was_saved(tmp_path: Path, name: str) -> None:
    kept, state = formats.FORMATS[name](tmp_path), State(1 << 16, tmp_path)
    kept.delete("absent")
    kept.save("a", state.whole())
    found = state.empty()
    kept.load("a", found)
    assert state.equals(found)
    kept.delete("a")
    with pytest.raises(BaseException, match="a"):
        kept.load("a", found)


@pytest.mark.parametrize("make", [contestants.saving, contestants.saving_changed])
def test_a_format_that_forgets_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: object
) -> None:
    forgetful = formats.Format(lambda _, __: None, lambda _, __: None, lambda _: None)
    monkeypatch.setattr(contestants, "FORMATS", {"forgetful": lambda _: forgetful})
    assert callable(make)
    [contestant] = make()
    assert isinstance(contestant, Contestant)
    trial = contestant.prepare(State(1 << 16, tmp_path))
    assert trial.set_up is not None
    trial.set_up()
    with pytest.raises(WrongResultError):
        trial.check(trial.call())


def test_everyone_is_measured_and_nothing_is_left(tmp_path: Path) -> None:
    done = run_benchmark(
        "checkpoint",
        "--folder=.",
        "--json=c.json",
        "--sizes=64KiB",
        "--budget=0.01",
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    record = json.loads((tmp_path / "c.json").read_text())
    assert len(record["results"]) == 4 * 3
    assert not [result for result in record["results"] if result["problem"] is not None]
    assert len(record["figures"]) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["c.json"]


def test_what_the_user_got_wrong_is_said(tmp_path: Path) -> None:
    done = run_benchmark("checkpoint", "--sizes=4", folder=tmp_path)
    assert done.returncode == 2
    assert "a state dict has 1024 B at least" in done.stderr
