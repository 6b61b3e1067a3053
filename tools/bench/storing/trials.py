"""What of a keeper is timed."""

import shutil
from collections.abc import Callable

import torch

from torchstash.tools.bench.contestant import Contestant, Trial
from torchstash.tools.bench.errors import WrongResultError
from torchstash.tools.bench.storing.keeper import Keeper, Tensors, touch
from torchstash.tools.bench.storing.raw import sync_all
from torchstash.tools.bench.storing.workload import Workload

Prepare = Callable[[Keeper, Workload], Trial]


def contestant(keeper: Keeper, prepare: Prepare) -> Contestant[Workload]:
    """`keeper` as it takes part in a case that `prepare` makes of it."""
    return Contestant(
        keeper.name, "cpu", lambda work: prepare(keeper, work), is_ceiling=keeper.is_ceiling
    )


def write(keeper: Keeper, work: Workload) -> Trial:
    """Into an empty folder."""
    return _saving(keeper, work, synced=False)


def write_synced(keeper: Keeper, work: Workload) -> Trial:
    """Into an empty folder, and wait for the medium."""
    return _saving(keeper, work, synced=True)


def write_again(keeper: Keeper, work: Workload) -> Trial:
    """The same tensors, over themselves."""
    folder = work.new_folder()
    keeper.save(folder, work.tensors)
    return Trial(
        lambda: keeper.save(folder, work.tensors),
        lambda _: _compare(keeper.load(folder, work.tensors), work.tensors),
        close=lambda: shutil.rmtree(folder),
    )


def write_changed(keeper: Keeper, work: Workload) -> Trial:
    """The next version, over the one before."""
    folder = work.new_folder()

    def set_up() -> None:
        shutil.rmtree(folder)
        folder.mkdir()
        keeper.save(folder, work.tensors)

    return Trial(
        lambda: keeper.save(folder, work.changed),
        lambda _: _compare(keeper.load(folder, work.changed), work.changed),
        close=lambda: shutil.rmtree(folder),
        set_up=set_up,
    )


def read(keeper: Keeper, work: Workload) -> Trial:
    """What was saved; mapped bytes are not looked at."""
    return _loading(keeper, work, lambda tensors: tensors)


def read_and_touch(keeper: Keeper, work: Workload) -> Trial:
    """What was saved, and a byte of each of its pages."""

    def load_and_touch(tensors: Tensors) -> Tensors:
        touch(tensors)
        return tensors

    return _loading(keeper, work, load_and_touch)


def _saving(keeper: Keeper, work: Workload, *, synced: bool) -> Trial:
    folder = work.new_folder()

    def set_up() -> None:
        shutil.rmtree(folder)
        folder.mkdir()

    def save() -> None:
        keeper.save(folder, work.tensors)
        if synced:
            sync_all(folder)

    return Trial(
        save,
        lambda _: _compare(keeper.load(folder, work.tensors), work.tensors),
        close=lambda: shutil.rmtree(folder),
        set_up=set_up,
    )


def _loading(keeper: Keeper, work: Workload, use: Callable[[Tensors], Tensors]) -> Trial:
    folder = work.new_folder()
    keeper.save(folder, work.tensors)

    def check(loaded: object) -> None:
        if not isinstance(loaded, dict):
            raise WrongResultError(f"gave {type(loaded).__qualname__}, not a dict")
        _compare(loaded, work.tensors)

    return Trial(
        lambda: use(keeper.load(folder, work.tensors)),
        check,
        close=lambda: shutil.rmtree(folder),
    )


def _compare(found: Tensors, expected: Tensors) -> None:
    if found.keys() != expected.keys():
        raise WrongResultError("the names that were loaded are not those that were saved")
    for name, tensor in expected.items():
        # Bit for bit: among random ones there are NaNs.
        same = found[name].shape == tensor.shape and torch.equal(
            found[name].contiguous().view(torch.uint8), tensor.contiguous().view(torch.uint8)
        )
        if not same:
            raise WrongResultError(f"{name} is not what was saved")
