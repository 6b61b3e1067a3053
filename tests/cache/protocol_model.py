"""The disk engine's protocol for large contents as a model whose every interleaving can be tried.

What it has of a store: files under `tmp`, files in place, the rows of the catalogue, notes of the
journal, the write lock, and which names lead to which contents. Processes are programs of atomic
steps, as `committer.py`, `collection.py` and `storage_source.py` take them; any of them may die
between any two steps, which gives back the lock and undoes what was not committed.

Promises, in every state that can be reached:

- what the catalogue has committed is there: a row never lacks its file;
- a reader that finds a name reads its contents, or finds that the name has changed meanwhile.

And once all have ended or died, a collection leaves no file that no row names.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

# A content is known by its number, a name by its letter.
Names = frozenset[tuple[str, int]]


class Store(NamedTuple):
    """What is on the medium, and who holds the write lock."""

    names: Names = frozenset()
    files: frozenset[int] = frozenset()
    # Unpublished files and notes, by the process that made them.
    temporary: frozenset[tuple[int, int]] = frozenset()
    notes: frozenset[tuple[int, int]] = frozenset()
    lock: int | None = None

    @property
    def rows(self) -> frozenset[int]:
        """Contents that something leads to."""
        return frozenset(content for _, content in self.names)


class Process(NamedTuple):
    """Where a process stands in its program, and what it remembers."""

    step: int = 0
    # Names as its transaction will leave them.
    pending: Names | None = None
    found: int | None = None
    again: int = 0
    failed: str | None = None


# One atomic step: the store and the process after it; None where it has to wait.
Step = Callable[[int, Store, Process], tuple[Store, Process] | None]


@dataclass(frozen=True, slots=True)
class Program:
    """Steps in order. A process that stands behind the last one has ended."""

    steps: tuple[Step, ...]


def _on(process: Process, **changes: object) -> Process:
    return process._replace(step=process.step + 1, **changes)  # type: ignore[arg-type]


def _lock(me: int, store: Store, process: Process) -> tuple[Store, Process] | None:
    if store.lock is not None:
        return None
    return store._replace(lock=me), _on(process, pending=store.names)


def _commit(me: int, store: Store, process: Process) -> tuple[Store, Process]:
    names = store.names if process.pending is None else process.pending
    return store._replace(names=names, lock=None), _on(process, pending=None)


def _note(content_of: Callable[[Store, Process], frozenset[int]]) -> Step:
    def step(me: int, store: Store, process: Process) -> tuple[Store, Process]:
        notes = store.notes | {(me, content) for content in content_of(store, process)}
        return store._replace(notes=notes), _on(process)

    return step


def _dropped(store: Store, process: Process) -> frozenset[int]:
    pending = process.pending or frozenset()
    return store.rows - {content for _, content in pending}


def _remove_noted(me: int, store: Store, process: Process) -> tuple[Store, Process]:
    mine = {content for owner, content in store.notes if owner == me}
    return store._replace(files=store.files - (mine - store.rows)), _on(process)


def _forget_notes(me: int, store: Store, process: Process) -> tuple[Store, Process]:
    return store._replace(notes=frozenset(n for n in store.notes if n[0] != me)), _on(process)


def _unlock(me: int, store: Store, process: Process) -> tuple[Store, Process]:
    return store._replace(lock=None), _on(process, pending=None)


_REMOVE = (_lock, _remove_noted, _forget_notes, _unlock)


def writer(name: str, content: int) -> Program:
    """Puts contents under a name, in place of what it has."""

    def stage(me: int, store: Store, process: Process) -> tuple[Store, Process]:
        if content in store.files and content in store.rows:
            return store, _on(process)
        return store._replace(temporary=store.temporary | {(me, content)}), _on(process)

    def publish(me: int, store: Store, process: Process) -> tuple[Store, Process]:
        staged = (me, content) in store.temporary
        if content in store.rows and content in store.files:
            return store, _on(process)
        # It was there when it was staged, and went since: written now.
        temporary = store.temporary - {(me, content)} if staged else store.temporary
        return store._replace(temporary=temporary, files=store.files | {content}), _on(process)

    def name_it(me: int, store: Store, process: Process) -> tuple[Store, Process]:
        pending = process.pending or frozenset()
        others = frozenset(pair for pair in pending if pair[0] != name)
        return store, _on(process, pending=others | {(name, content)})

    def discard(me: int, store: Store, process: Process) -> tuple[Store, Process]:
        return store._replace(temporary=store.temporary - {(me, content)}), _on(process)

    return Program(
        (
            stage,
            _lock,
            _note(lambda _, __: frozenset({content})),
            publish,
            name_it,
            _note(_dropped),
            _commit,
            discard,
            *_REMOVE,
        )
    )


def deleter(name: str) -> Program:
    """Forgets a name."""

    def forget(me: int, store: Store, process: Process) -> tuple[Store, Process]:
        pending = process.pending or frozenset()
        return store, _on(process, pending=frozenset(p for p in pending if p[0] != name))

    return Program((_lock, forget, _note(_dropped), _commit, *_REMOVE))


def renamer(name: str, new_name: str) -> Program:
    """Gives a name's contents another name, in place of what that has."""

    def rename(me: int, store: Store, process: Process) -> tuple[Store, Process]:
        pending = process.pending or frozenset()
        moved = frozenset((new_name, c) for n, c in pending if n == name)
        if moved:
            pending = frozenset(p for p in pending if p[0] not in (name, new_name)) | moved
        return store, _on(process, pending=pending)

    return Program((_lock, rename, _note(_dropped), _commit, *_REMOVE))


def reader(name: str) -> Program:
    """Looks a name up, and then reads; where the file is gone, looks up again."""

    def look_up(me: int, store: Store, process: Process) -> tuple[Store, Process]:
        found = dict(store.names).get(name)
        if found is None:
            return store, process._replace(step=2)  # Missing, which is an answer.
        return store, _on(process, found=found)

    def read(me: int, store: Store, process: Process) -> tuple[Store, Process]:
        if process.found in store.files:
            return store, _on(process)
        if dict(store.names).get(name) == process.found:
            # Replaced meanwhile, and put back as it was: once may be chance, twice is damage.
            if process.again:
                failed = f"{name} leads to {process.found}, which is not there"
                return store, _on(process, failed=failed)
            return store, process._replace(step=0, again=1)
        return store, process._replace(step=0, again=0)

    return Program((look_up, read))


def collector(*, locks: bool = True, audits: bool = False) -> Program:
    """Removes what notes, or all files, tell of and no row names."""

    def remove(me: int, store: Store, process: Process) -> tuple[Store, Process]:
        told = store.files if audits else {content for _, content in store.notes}
        return store._replace(
            files=store.files - (frozenset(told) - store.rows), notes=frozenset()
        ), _on(process)

    return Program((_lock, remove, _unlock) if locks else (remove,))


State = tuple[Store, tuple[Process | None, ...]]


def _dies(me: int, store: Store) -> Store:
    return store._replace(lock=None) if store.lock == me else store


def explore(
    programs: tuple[Program, ...], start: Store, *, deaths: int
) -> Iterator[tuple[Store, tuple[Process | None, ...], bool]]:
    """Every state that can be reached, once; and whether nothing can happen any more.

    A process that died is None. At most `deaths` die.
    """
    first: State = (start, tuple(Process() for _ in programs))
    seen = {first}
    waiting = [first]
    while waiting:
        state = waiting.pop()
        store, processes = state
        after: list[State] = []
        died = processes.count(None)
        for me, process in enumerate(processes):
            if process is None or process.step >= len(programs[me].steps):
                continue
            taken = programs[me].steps[process.step](me, store, process)
            if taken is not None:
                after.append((taken[0], (*processes[:me], taken[1], *processes[me + 1 :])))
            if died < deaths:
                after.append((_dies(me, store), (*processes[:me], None, *processes[me + 1 :])))
        yield store, processes, not after
        for each in after:
            if each not in seen:
                seen.add(each)
                waiting.append(each)


def settled(store: Store) -> Store:
    """The store after a collection by its notes."""
    process = Process()
    for step in collector().steps:
        taken = step(-1, store, process)
        if taken is None:
            raise RuntimeError("the lock was left behind")
        store, process = taken
    return store
