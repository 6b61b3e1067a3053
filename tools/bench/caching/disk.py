"""Gets from and puts into local stores."""

import itertools
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from torchstash.tools.bench.caching.stores import STORES, Store
from torchstash.tools.bench.caching.values import Values
from torchstash.tools.bench.checks import equal_to
from torchstash.tools.bench.contestant import Contestant, Trial
from torchstash.tools.bench.errors import WrongResultError

_KEYS = tuple(f"key-{i:04}" for i in range(256))
_STAMP_BYTES = 8


def gets() -> list[Contestant[Values]]:
    """A value of 256, in turn."""
    return [Contestant(name, "cpu", _getting(name)) for name in STORES]


def puts() -> list[Contestant[Values]]:
    """A value never seen before, in place of one of 256."""
    return [Contestant(name, "cpu", _putting(name)) for name in STORES]


def _getting(name: str) -> Callable[[Values], Trial]:
    def prepare(values: Values) -> Trial:
        store = _new_store(name, values)
        body = os.urandom(values.size_bytes - _STAMP_BYTES)
        for i, key in enumerate(_KEYS):
            store.put(key, _stamp(i) + body)
        store.rest()
        next_key = itertools.cycle(_KEYS).__next__
        return Trial(lambda: store.get(next_key()), equal_to(_stamp(0) + body), close=store.close)

    return prepare


def _putting(name: str) -> Callable[[Values], Trial]:
    def prepare(values: Values) -> Trial:
        store = _new_store(name, values)
        body = os.urandom(values.size_bytes - _STAMP_BYTES)
        next_key = itertools.cycle(_KEYS).__next__
        next_number = itertools.count().__next__

        def check(_: object) -> None:
            if store.get(_KEYS[0]) != _stamp(0) + body:
                raise WrongResultError("what was put is not there")

        return Trial(
            lambda: store.put(next_key(), _stamp(next_number()) + body), check, close=store.close
        )

    return prepare


def _new_store(name: str, values: Values) -> Store:
    return STORES[name](Path(tempfile.mkdtemp(dir=values.folder)))


def _stamp(number: int) -> bytes:
    """Makes contents differ: a store that keeps equal ones once would have nothing to do."""
    return number.to_bytes(_STAMP_BYTES, "little")
