"""Saving a version that differs a little from one that was saved, and loading it."""

import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path

from torchstash.content_store import ContentStoreReader, ContentStoreWriter
from torchstash.tools.bench.contestant import Contestant, Trial
from torchstash.tools.bench.deltas.keepers import KEEPERS, Keeper
from torchstash.tools.bench.deltas.versions import Versions, is_equal
from torchstash.tools.bench.errors import WrongResultError

CHAINED = "torchstash, base=, 8 deep"

_DEPTH = 8


def saves() -> list[Contestant[Versions]]:
    """One of two versions in turn, in place of the other."""
    return [Contestant(name, "cpu", _saving(name)) for name in KEEPERS]


def loads() -> list[Contestant[Versions]]:
    """What was saved; by us at the end of a chain as well."""
    several = [Contestant(name, "cpu", _loading(name)) for name in KEEPERS]
    return [*several, Contestant(CHAINED, "cpu", _loading_chain)]


def _saving(name: str) -> Callable[[Versions], Trial]:
    def prepare(versions: Versions) -> Trial:
        keeper = _new_keeper(name, versions)
        in_turn = itertools.cycle(versions.changed)

        def check(_: object) -> None:
            if not is_equal(keeper.load(), versions.changed[0]):
                raise WrongResultError("what was saved does not come back")
            versions.stored_bytes[name] = keeper.stored_bytes()

        return Trial(lambda: keeper.save(next(in_turn)), check, close=keeper.close)

    return prepare


def _loading(name: str) -> Callable[[Versions], Trial]:
    def prepare(versions: Versions) -> Trial:
        keeper = _new_keeper(name, versions)
        keeper.save(versions.changed[0])

        def check(found: object) -> None:
            if not is_equal(found, versions.changed[0]):
                raise WrongResultError("gave other weights")

        return Trial(keeper.load, check, close=keeper.close)

    return prepare


def _loading_chain(versions: Versions) -> Trial:
    folder = Path(tempfile.mkdtemp(dir=versions.folder))
    state = versions.base
    with ContentStoreWriter(folder) as writer:
        writer.save_state_dict("weights", state)
        for _ in range(_DEPTH):
            # Each version replaces the one that it is saved against.
            state = versions.step(state)
            writer.save_state_dict("weights", state, base="weights")
    reader = ContentStoreReader(folder)

    def check(found: object) -> None:
        if not is_equal(found, state):
            raise WrongResultError("gave other weights")

    return Trial(lambda: reader.load_state_dict("weights"), check, close=reader.close)


def _new_keeper(name: str, versions: Versions) -> Keeper:
    return KEEPERS[name](Path(tempfile.mkdtemp(dir=versions.folder)), versions.base)
