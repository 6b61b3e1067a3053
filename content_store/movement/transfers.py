"""`push`, `pull` and `clone`: the transfers as users call them."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from torchstash.cache.digest import Digest
from torchstash.cache.disk import DiskBackend
from torchstash.content_store.engine_errors import store_errors
from torchstash.content_store.errors import ExistsError
from torchstash.content_store.movement.any_contents import AnyContents
from torchstash.content_store.movement.layout import NAME_PREFIXES
from torchstash.content_store.movement.local_contents import LocalContents
from torchstash.content_store.movement.name_index import NameIndex
from torchstash.content_store.movement.place import Place, open_store, opened
from torchstash.content_store.movement.progress import MovementReport, ProgressCallback, Tally
from torchstash.content_store.movement.pull import Puller
from torchstash.content_store.movement.push import Pusher
from torchstash.content_store.movement.remote import Remote
from torchstash.content_store.movement.remote_source import RemoteSource
from torchstash.content_store.movement.selection import Selection
from torchstash.content_store.movement.source import Source
from torchstash.content_store.movement.store_source import StoreSource

DEFAULT_THREADS: Final = 8

# The digest of the place that a store is being cloned from, so that a clone can go on.
_CLONING: Final = "clones/from"


def push(
    location: str | os.PathLike[str],
    place: Place,
    *,
    names: Iterable[str] | None = None,
    prefixes: Iterable[str] | None = None,
    verify: bool = False,
    index: bool = False,
    threads: int = DEFAULT_THREADS,
    progress: ProgressCallback | None = None,
) -> MovementReport:
    """Moves what `place` lacks of the store at `location`, and then the names that lead there.

    It can be called again after anything that ended it, a kill included, and goes on where it was.
    Several may push to one place at once. A name that is there is replaced.

    Args:
        location: The folder of the store.
        place: Another store by its folder or as `file:///folder`; any other engine by its URL, or
            opened. URLs take `timeout`, `connect_timeout` and `min_rate` as caches do; without
            them a transfer waits longer.
        names: Tensors and snapshots to move. With `prefixes` neither: everything.
        prefixes: Moves all tensors and snapshots whose names begin so.
        verify: Read back what is there, and put it again where it is damaged. What a store in a
            folder has is looked at by size only.
        index: Keep an index of names where the place can list, too, for those who read it through
            an engine that cannot, such as a web server in front of a bucket. One that is there is
            kept up in any case, and where the place cannot list there always is one.
        threads: How many values are on their way at once; each takes up to 8 MiB of memory.
        progress: Is told how far it is.

    Raises:
        MissingStoreError: There is no store at `location`.
        NotInStoreError: It has nothing under one of the names.
        CorruptStoreError: Something of it is damaged; says which tensor or snapshot.
        PlaceUnavailableError: The place cannot be reached or written.
        PlaceUnlistableError: All was moved, and its index of names has no room for more.
    """
    selection = Selection.of(names, prefixes)
    with (
        open_store(Path(location), to_write=False) as store,
        opened(place, to_write=True) as target,
        ThreadPoolExecutor(threads, "torchstash-push") as executor,
    ):
        source = StoreSource(store)
        keys = selection.keys(source)
        tally = Tally(len(keys), progress)
        if isinstance(target, Remote):
            contents = LocalContents(store)
            pusher = Pusher(source, contents, target, tally, executor, verify=verify)
            there = pusher.push(keys)
            names_there = NameIndex(target)
            if index or not target.lists or names_there.is_there():
                names_there.add(there, executor, verify=verify)
        else:
            Puller(source, target, tally, executor).pull(keys)
        return tally.report()


def pull(
    location: str | os.PathLike[str],
    place: Place,
    *,
    names: Iterable[str] | None = None,
    prefixes: Iterable[str] | None = None,
    threads: int = DEFAULT_THREADS,
    progress: ProgressCallback | None = None,
) -> MovementReport:
    """Moves what the store at `location` lacks of what was pushed to `place`.

    A name appears, in place of what was there, when all that it leads to has arrived and hashes to
    its digest. It can be called again after anything that ended it, and goes on where it was. The
    store is made if there is none. 64 MiB of contents are held in memory at most.

    Args:
        location: The folder of the store.
        place: As `push` takes it.
        names: Tensors and snapshots to move. With `prefixes` neither: everything.
        prefixes: Moves all tensors and snapshots whose names begin so.
        threads: How many values are on their way at once.
        progress: Is told how far it is.

    Raises:
        NotInStoreError: The place has nothing under one of the names.
        PlaceUnlistableError: It cannot list and has no index, and not all names were given.
        CorruptStoreError: Something there is damaged; says which tensor or snapshot.
        PlaceUnavailableError: It cannot be reached.
        StoreUnavailableError: The store cannot be written.
    """
    selection = Selection.of(names, prefixes)
    with (
        opened(place, to_write=False) as origin,
        open_store(Path(location), to_write=True) as store,
    ):
        return pull_into(store, origin, selection.keys, threads=threads, progress=progress)


def clone(
    place: Place,
    location: str | os.PathLike[str],
    *,
    threads: int = DEFAULT_THREADS,
    progress: ProgressCallback | None = None,
) -> MovementReport:
    """`pull` of everything into a new store: one that has no names, or those of the same clone.

    Raises:
        ExistsError: There are names at `location`; `pull` adds to a store.
        ContentStoreError: As `pull`.
    """
    named = place if isinstance(place, str | os.PathLike) else type(place).__name__
    origin = Digest.of(str(named).encode()).raw
    with open_store(Path(location), to_write=True) as store, store_errors(store.path):
        is_going_on = store.get(_CLONING) == origin
        if not is_going_on and any(True for prefix in NAME_PREFIXES for _ in store.keys(prefix)):
            raise ExistsError(
                f"there is a content store with names in it at {store.path}; pull into it, or "
                "clone to another folder"
            )
        store.put(_CLONING, origin)
    report = pull(location, place, threads=threads, progress=progress)
    with open_store(Path(location), to_write=True) as store, store_errors(store.path):
        store.delete(_CLONING)
    return report


def pull_into(
    store: DiskBackend,
    origin: DiskBackend | Remote,
    selected: Callable[[Source], list[str]],
    *,
    threads: int = DEFAULT_THREADS,
    progress: ProgressCallback | None = None,
    any_contents: bool = False,
) -> MovementReport:
    """`pull` between what is open; `selected` says which keys of a store.

    With `any_contents` storages without a name are found by what lies under their digest.
    """
    with ThreadPoolExecutor(threads, "torchstash-pull") as executor:
        source: Source
        if isinstance(origin, Remote):
            source = RemoteSource(origin, executor)
        else:
            source = StoreSource(origin)
        if any_contents:
            source = AnyContents(source)
        keys = selected(source)
        tally = Tally(len(keys), progress)
        Puller(source, store, tally, executor).pull(keys)
        return tally.report()
