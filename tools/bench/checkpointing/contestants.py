"""Saving a checkpoint first, again, and changed; and loading it."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from torchstash.tools.bench.checkpointing.formats import FORMATS, Format
from torchstash.tools.bench.checkpointing.state import State
from torchstash.tools.bench.contestant import Contestant, Trial
from torchstash.tools.bench.errors import WrongResultError

_FIRST, _NEXT = "first", "next"


def saving() -> list[Contestant[State]]:
    """What the folder has nothing of yet."""
    return _contestants(_save)


def saving_unchanged() -> list[Contestant[State]]:
    """Under another name, what was saved before."""
    return _contestants(_save_unchanged)


def saving_changed() -> list[Contestant[State]]:
    """Under another name, with a tenth changed since."""
    return _contestants(_save_changed)


def loading() -> list[Contestant[State]]:
    """Into tensors that are there."""
    return _contestants(_load)


def _contestants(trial: Callable[[Format, State], Trial]) -> list[Contestant[State]]:
    def preparing(name: str) -> Callable[[State], Trial]:
        def prepare(state: State) -> Trial:
            return trial(FORMATS[name](Path(tempfile.mkdtemp(dir=state.folder))), state)

        return prepare

    return [Contestant(name, "cpu", preparing(name)) for name in FORMATS]


def _save(kept: Format, state: State) -> Trial:
    return _saving(kept, state, lambda: kept.delete(_NEXT))


def _save_unchanged(kept: Format, state: State) -> Trial:
    kept.save(_FIRST, state.whole())
    return _saving(kept, state, lambda: kept.delete(_NEXT))


def _save_changed(kept: Format, state: State) -> Trial:
    kept.save(_FIRST, state.whole())

    def set_up() -> None:
        kept.delete(_NEXT)
        state.change_a_tenth()

    return _saving(kept, state, set_up)


def _saving(kept: Format, state: State, set_up: Callable[[], None]) -> Trial:
    def check(_: object) -> None:
        found = state.empty()
        kept.load(_NEXT, found)
        _require_equal(state, found)

    def close() -> None:
        kept.delete(_NEXT)
        kept.delete(_FIRST)

    return Trial(lambda: kept.save(_NEXT, state.whole()), check, close=close, set_up=set_up)


def _load(kept: Format, state: State) -> Trial:
    kept.save(_FIRST, state.whole())
    target = state.empty()
    return Trial(
        lambda: kept.load(_FIRST, target),
        lambda _: _require_equal(state, target),
        close=lambda: kept.delete(_FIRST),
    )


def _require_equal(state: State, found: dict[str, object]) -> None:
    if not state.equals(found):
        raise WrongResultError("what was loaded is not what was saved")
