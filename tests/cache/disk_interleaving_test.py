"""Two operations on a real store: one stops at each step that it takes, and the other runs whole.

Steps are calls of the operating system outside of write transactions, within which nobody else can
write. The result is that of one order or the other, and the books are right.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from torchstash.cache import DiskBackend, DiskMaintenance
from torchstash.cache.disk import backend as backend_module
from torchstash.cache.disk.catalogue import Catalogue
from torchstash.cache.disk.transaction import Transaction
from torchstash.tests.cache.backend_contract import content

State = dict[str, bytes]
ONE, TWO = content(70_000, 1), content(70_000, 2)
START: State = {"a": ONE, "b": TWO}
HOOKED = ("open", "write", "rename", "unlink", "stat", "close", "fsync", "fstat", "pwritev")


def put(key: str, value: bytes) -> "Operation":
    def apply(state: State) -> State:
        return {**state, key: value}

    return Operation(f"put {key}", lambda store: store.put(key, value), apply)


class Operation:
    """What it does to a store, and to the state that the store is in."""

    def __init__(
        self,
        name: str,
        run: Callable[[DiskBackend], object],
        apply: Callable[[State], State] = lambda state: state,
    ) -> None:
        self.name = name
        self.run = run
        self.apply = apply


def collect(store: DiskBackend) -> None:
    with DiskMaintenance(store.path) as maintenance:
        maintenance.collect(audit=True)


def read(store: DiskBackend) -> None:
    assert store.get("a") in (None, ONE, TWO)


def without_a(state: State) -> State:
    return {key: value for key, value in state.items() if key != "a"}


def renamed(state: State) -> State:
    return {**without_a(state), **({"b": state["a"]} if "a" in state else {})}


OPERATIONS = [
    put("c", ONE),
    put("a", TWO),
    put("b", content(70_000, 3)),
    Operation("delete a", lambda store: store.delete("a"), without_a),
    Operation("rename a", lambda store: store.rename("a", "b", replace=True), renamed),
    Operation("collect", collect),
    Operation("read", read),
]
NAMES = [operation.name for operation in OPERATIONS]


@pytest.mark.parametrize("first", OPERATIONS, ids=NAMES)
@pytest.mark.parametrize("second", OPERATIONS, ids=NAMES)
def test_one_within_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: Operation, second: Operation
) -> None:
    stops = 0
    for at in count():
        path = tmp_path / f"{at}"
        with DiskBackend(path) as store, DiskBackend(path) as other:
            store.put_many(START)
            with monkeypatch.context() as patch:
                ran = _stop_at(at, patch, lambda other=other: second.run(other))  # type: ignore[misc]
                first.run(store)
            if not ran:
                break
            if not ran[0]:
                continue
            stops += 1
            found = {key: store.get(key) for key in store.keys()}  # noqa: SIM118 - no dict
            assert found in (
                second.apply(first.apply(START)),
                first.apply(second.apply(START)),
            ), f"step {at}"
            with DiskMaintenance(path) as maintenance:
                findings = [*maintenance.audit(), *maintenance.check_contents()]
                assert findings == []
                left = maintenance.collect(grace_seconds=0, audit=True)
            assert (left.orphan_files, left.temporary_files) == (0, 0)
    assert stops


def _stop_at(at: int, patch: pytest.MonkeyPatch, then: Callable[[], object]) -> list[bool]:
    """Run `then` before the call number `at`; the list has an item once that call was reached."""
    calls = count()
    reached: list[bool] = []
    writing = 0
    begin = Catalogue.writing

    @contextmanager
    def counted(catalogue: Catalogue, *, wait: bool = True) -> Iterator[Transaction]:
        nonlocal writing
        step()
        writing += 1
        try:
            with begin(catalogue, wait=wait) as transaction:
                yield transaction
        finally:
            writing -= 1

    def step() -> None:
        if not reached and next(calls) == at:
            reached.append(not writing)
            if not writing:
                then()

    def before(function: Callable[..., object]) -> Callable[..., object]:
        def wrapper(*args: object, **kwargs: object) -> object:
            step()
            return function(*args, **kwargs)

        return wrapper

    for name in HOOKED:
        patch.setattr(os, name, before(getattr(os, name)))
    patch.setattr(backend_module, "open", before(open), raising=False)
    patch.setattr(Catalogue, "writing", counted)
    return reached
