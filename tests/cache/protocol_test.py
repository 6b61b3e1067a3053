"""Every interleaving of a few writers, readers, deleters and collections, deaths included."""

import pytest

from torchstash.tests.cache.protocol_model import (
    Process,
    Program,
    Store,
    collector,
    deleter,
    explore,
    reader,
    renamer,
    settled,
    writer,
)

EMPTY = Store()
FULL = Store(names=frozenset({("a", 1), ("b", 2)}), files=frozenset({1, 2}))
SHARED = Store(names=frozenset({("a", 1), ("b", 1)}), files=frozenset({1}))
ORPHAN = Store(names=frozenset({("a", 1)}), files=frozenset({1, 2}), notes=frozenset({(9, 2)}))

CASES: dict[str, tuple[tuple[Program, ...], Store]] = {
    "two writers of one new content": ((writer("a", 1), writer("b", 1), collector()), EMPTY),
    "writer of what a deleter drops": ((writer("c", 1), deleter("a"), collector()), FULL),
    "writers that swap": ((writer("a", 2), writer("b", 1), reader("a")), FULL),
    "writer, deleter, reader": ((writer("b", 1), deleter("a"), reader("b")), FULL),
    "deleters of what is shared": ((deleter("a"), deleter("b"), writer("c", 1)), SHARED),
    "renamer over what a writer writes": ((renamer("a", "b"), writer("b", 1), reader("b")), FULL),
    "renamer, deleter, collection": ((renamer("a", "b"), deleter("b"), collector()), FULL),
    "orphan that a writer adopts": ((writer("b", 2), collector(), reader("b")), ORPHAN),
    "an audit": ((writer("b", 3), deleter("a"), collector(audits=True)), ORPHAN),
    "four": ((writer("a", 2), deleter("b"), collector(), reader("b")), FULL),
}


def check(programs: tuple[Program, ...], start: Store, deaths: int) -> int:
    """The promises of the model; how many states there are."""
    states = 0
    for store, processes, is_end in explore(programs, start, deaths=deaths):
        states += 1
        assert store.rows <= store.files, "a row lacks its file"
        assert not [process.failed for process in processes if process and process.failed]
        if is_end:
            assert store.lock is None, "the lock was left behind"
            assert all(
                p is None or p.step >= len(program.steps)
                for p, program in zip(processes, programs, strict=True)
            )
            left = settled(store)
            assert left.files == left.rows, "a file was left that no note told of"
            assert left.names == store.names
    return states


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("deaths", [0, 1, 2])
def test_every_interleaving(case: tuple[tuple[Program, ...], Store], deaths: int) -> None:
    assert check(*case, deaths) > 100


def test_the_model_finds_what_a_collection_without_the_lock_breaks() -> None:
    broken = (writer("b", 2), collector(locks=False, audits=True))
    with pytest.raises(AssertionError, match="lacks its file"):
        check(broken, EMPTY, 0)


def test_the_model_finds_a_writer_that_takes_no_notes() -> None:
    whole = writer("a", 1).steps
    with pytest.raises(AssertionError, match="no note told of"):
        check((Program((*whole[:2], *whole[3:])),), EMPTY, 1)


def test_the_model_finds_files_that_are_removed_before_the_commit() -> None:
    lock, forget, note, commit, *_ = deleter("a").steps

    def remove(me: int, store: Store, process: Process) -> tuple[Store, Process]:
        return store._replace(files=store.files - {1}), process._replace(step=4)

    with pytest.raises(AssertionError, match="lacks its file"):
        check((Program((lock, forget, note, remove, commit)),), FULL, 1)
