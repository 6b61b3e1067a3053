"""Each keeper gives back what it kept, and is found out when it does not."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from torchstash.tools.bench.contestant import Trial
from torchstash.tools.bench.errors import UnavailableError, WrongResultError
from torchstash.tools.bench.result import Case, Result
from torchstash.tools.bench.storing import (
    footprint,
    library_keepers,
    ours,
    raw,
    torch_keepers,
    trials,
)
from torchstash.tools.bench.storing.bare_sqlite import bare_sqlite
from torchstash.tools.bench.storing.comparison import Comparison, Goal
from torchstash.tools.bench.storing.keeper import Keeper
from torchstash.tools.bench.storing.workload import (
    Workload,
    equal_tensors,
    state_dict,
    unique_bytes,
)

_KEEPERS = (
    ours.one_by_one(),
    ours.at_once(),
    ours.snapshot(),
    torch_keepers.torch_save(),
    torch_keepers.torch_save_each(),
    torch_keepers.content_store(),
    torch_keepers.distributed_checkpoint(),
    library_keepers.safetensors_file(),
    library_keepers.safetensors_each(),
    library_keepers.tensorstore(),
    library_keepers.xet(),
    raw.plain(),
    raw.hashed(),
    bare_sqlite(),
    raw.busy(),
)
_TRIALS = (
    trials.write,
    trials.write_synced,
    trials.write_again,
    trials.write_changed,
    trials.read,
    trials.read_and_touch,
)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    whole = state_dict(tmp_path_factory.mktemp("work"), scale=0.001)
    names = [name for name in whole.tensors if name.endswith(("00", "30"))]
    return Workload(
        {name: whole.tensors[name] for name in names},
        whole.folder,
        {name: whole.changed[name] for name in names},
    )


def _run(trial: Trial) -> object:
    if trial.set_up is not None:
        trial.set_up()
    return trial.call()


@pytest.mark.parametrize("keeper", _KEEPERS, ids=lambda keeper: keeper.name)
def test_everyone_does_the_work(keeper: Keeper, work: Workload) -> None:
    for prepare in _TRIALS:
        trial = prepare(keeper, work)
        trial.check(_run(trial))
        trial.check(_run(trial))
        trial.close()


@pytest.mark.parametrize("prepare", _TRIALS)
@pytest.mark.parametrize("loaded", [{}, {"weight-000": torch.zeros(2)}])
def test_one_that_forgets_is_found_out(
    prepare: Callable[[Keeper, Workload], Trial], loaded: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    forgetful = Keeper("forgetful", lambda _, __: None, lambda _, __: loaded)
    tensors = {"weight-000": torch.ones(2)}
    trial = prepare(forgetful, Workload(tensors, tmp_path, tensors))
    with pytest.raises(WrongResultError):
        trial.check(_run(trial))


def test_the_state_dict_is_the_one_that_is_described(tmp_path: Path) -> None:
    whole = state_dict(tmp_path, scale=0.01)
    assert len(whole.tensors) == len(whole.changed) == 200
    weight_bytes = whole.tensors["weight-000"].nbytes
    small_bytes = 44 * 4096
    assert unique_bytes(whole.tensors) == 100 * weight_bytes + small_bytes
    assert unique_bytes(whole.tensors, whole.changed) == 110 * weight_bytes + small_bytes
    assert whole.tensors["tie-00"] is whole.tensors["weight-000"]
    assert whole.tensors["clone-00"].data_ptr() != whole.tensors["weight-080"].data_ptr()


def test_goals_are_read_off_the_results(tmp_path: Path) -> None:
    comparison = Comparison(
        "title",
        "tensor",
        {},
        [],
        lambda: Workload({}, tmp_path, {}),
        8,
        2,
        [Goal("a", "write", 50), Goal("a", "write", 0.5, "b", "read"), Goal("c", "write", 1)],
    )
    results = [
        Result("a", "cpu", Case("write", 8, 2), (4e-6,)),
        Result("b", "cpu", Case("read", 8, 2), (16e-6,)),
        Result("c", "cpu", Case("write", 8, 2), problem="it is missing"),
    ]
    first, second = comparison.figures(results)
    assert first.value == pytest.approx(2.0)
    assert (first.unit, first.at_most) == ("us", 50)
    assert (second.value, second.unit, second.at_most) == (0.25, "x", 0.5)
    assert second.name == "title, write: a / b, read, time"


def test_what_stores_take_is_weighed(work: Workload) -> None:
    large = equal_tensors(2, 1 << 20, work.folder)
    figures = [
        *footprint.overhead(equal_tensors(50, 4096, work.folder)),
        *footprint.two_versions(work),
        *footprint.mapped_read(large),
    ]
    assert len(figures) == 2 + 3 + (2 if sys.platform == "linux" else 0)
    assert all(figure.value >= 0 for figure in figures)


@pytest.mark.parametrize(
    ("module", "keeper", "package"),
    [
        ("safetensors", library_keepers.safetensors_file(), "safetensors"),
        ("tensorstore", library_keepers.tensorstore(), "tensorstore"),
        ("hf_xet", library_keepers.xet(), "hf-xet"),
    ],
)
def test_a_package_that_is_missing_says_how_to_get_it(
    module: str, keeper: Keeper, package: str, work: Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UnavailableError, match=f"pip install {package}$"):
        keeper.save(work.new_folder(), work.tensors)
