"""A store of very many names: opening it, finding one, listing."""

import itertools
import random
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import torch

from torchstash.content_store import ContentStoreReader, ContentStoreWriter
from torchstash.tools.bench.contestant import Contestant, Trial
from torchstash.tools.bench.heats import Heat
from torchstash.tools.bench.outcome import Figure
from torchstash.tools.bench.result import Case, Result
from torchstash.tools.bench.storing.workload import Workload

TITLE = "A store of very many names"

_OPEN, _GET, _LIST = "open, get one", "get one", "list 1,000 names"
_GOALS_US = {_OPEN: 50_000, _GET: 50}
_BATCH = 10_000
_LISTED = 1000
_CONTESTANT = "torchstash"


def heats(count: int, folder: Path) -> Iterator[Heat[Workload]]:
    """One for each case; the store is made when the first needs it."""

    @cache
    def make_work() -> Workload:
        _fill(folder / "names", count)
        return Workload({}, folder, {})

    if count:
        for name, prepare in ((_OPEN, _open), (_GET, _get), (_LIST, _list)):
            contestant = Contestant[Workload](_CONTESTANT, "cpu", partial(prepare, count=count))
            yield Heat(TITLE, Case(name, 0), [contestant], make_work)


def figures(results: list[Result]) -> Iterator[Figure]:
    """Opening, and finding."""
    for result in results:
        value = result.microseconds_per_operation
        if result.case.name in _GOALS_US and value is not None:
            goal = _GOALS_US[result.case.name]
            yield Figure(f"{TITLE}: {result.case.name}", value, "us", at_most=goal)


def _name(index: int) -> str:
    return f"model/layer-{index % 97:02}/tensor-{index:08}"


def _fill(folder: Path, count: int) -> None:
    tensor = torch.arange(64)
    with ContentStoreWriter(folder) as writer:
        for start in range(0, count, _BATCH):
            indices = range(start, min(start + _BATCH, count))
            writer.write_tensors({_name(i): tensor + i for i in indices})


def _names(count: int) -> Callable[[], str]:
    """Gives one after another, in no order."""
    chosen = random.Random(0).sample(range(count), min(count, _BATCH))  # noqa: S311
    return map(_name, itertools.cycle(chosen)).__next__


def _open(work: Workload, *, count: int) -> Trial:
    next_name = _names(count)

    def call() -> None:
        with ContentStoreReader(work.folder / "names") as reader:
            reader.read_tensor(next_name())

    return Trial(call)


def _get(work: Workload, *, count: int) -> Trial:
    reader = ContentStoreReader(work.folder / "names", cache=False)
    next_name = _names(count)
    return Trial(lambda: reader.read_tensor(next_name()), close=reader.close)


def _list(work: Workload, *, count: int) -> Trial:
    reader = ContentStoreReader(work.folder / "names")
    listed = min(_LISTED, count)
    return Trial(lambda: list(itertools.islice(reader.names(), listed)), close=reader.close)
