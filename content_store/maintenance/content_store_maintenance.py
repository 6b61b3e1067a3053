"""Looks after the store at one place. Safe while others read and write it."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from torchstash.cache.disk import DiskBackend, DiskMaintenance, Put
from torchstash.cache.disk.salvage import salvage
from torchstash.cache.errors import BackendCorruptError
from torchstash.content_store import pending
from torchstash.content_store.arrivals import abandoned_arrivals
from torchstash.content_store.engine_errors import store_errors
from torchstash.content_store.maintenance.descriptions_check import (
    check_snapshots,
    check_tensors,
    storages_of,
)
from torchstash.content_store.maintenance.problem import Problem, ProblemKind
from torchstash.content_store.maintenance.reports import (
    GarbageReport,
    RepairReport,
    SalvageReport,
    StoreQuota,
)
from torchstash.content_store.maintenance.salvage_hints import SalvageHints
from torchstash.content_store.names import SNAPSHOT_PREFIX, TENSOR_PREFIX, snapshot_key

_MAX_INT64 = (1 << 63) - 1


class ContentStoreMaintenance:
    """Looks after the store at `loc`, which must exist; nothing is made.

    `verify`, `quota` and a dry run of `gc` only look, on a medium that cannot be written too.

    Raises (from every method):
        MissingStoreError: There is no store there.
        StoreUnavailableError: It cannot be read, or written where that is needed.
        CorruptStoreError: Its catalogue is damaged beyond use.
    """

    def __init__(self, loc: str | os.PathLike[str]) -> None:
        self._location = Path(loc).absolute()

    def verify(
        self,
        *,
        since: datetime | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> Iterator[Problem]:
        """What is wrong, as it is found; nothing where the store is sound.

        First the books: the catalogue itself, counts of uses against what leads to contents, free
        bytes against used ones, files that nothing leads to. Then what is said of tensors and
        snapshots. Then every storage is hashed again.

        Args:
            since: Hash only what names lead to that were written then or later: a name that was
                written again as it was counts as written the first time. None: everything.
            on_progress: Told, again and again, how many more bytes were hashed.

        Raises:
            ValueError: `since` is of no time zone.
        """
        since_unix_ns = None if since is None else _unix_ns(since)
        return self._verify(since_unix_ns, on_progress)

    def _verify(
        self, since_unix_ns: int | None, on_progress: Callable[[int], None] | None
    ) -> Iterator[Problem]:
        with store_errors(self._location), ExitStack() as stack:
            engine = stack.enter_context(DiskMaintenance(self._location, read_only=True))
            backend = stack.enter_context(DiskBackend.open_read_only(self._location))
            yield from map(Problem.of, engine.audit())
            try:
                yield from check_tensors(backend)
                yield from check_snapshots(backend, engine)
                found = engine.check_contents(since_unix_ns=since_unix_ns, on_progress=on_progress)
                yield from map(Problem.of, found)
            except BackendCorruptError as error:
                yield Problem(ProblemKind.CATALOGUE, str(error))

    def gc(
        self, *, grace_seconds: float = 3600.0, audit: bool = False, dry_run: bool = False
    ) -> GarbageReport:
        """Remove what dead writers have left behind.

        What no name leads to any more goes at once, by itself, with the last name; so this finds
        nothing where no writer died. Its cost grows with the garbage, not with the store.

        Args:
            grace_seconds: Unpublished files that were written to more recently stay, and parts of
                unfinished checkpoints that were, unless their processes ran here and are gone:
                their writers may be alive. Raise it above the time that the longest write takes.
                What pulls have fetched for names that never came stays as long, and while a pull
                is under way on this machine, however long that takes; one that is under way on
                another machine says so every few minutes.
            audit: Look at every file, for what power loss or an older torchstash left.
            dry_run: Remove nothing, and tell what would go.
        """
        with store_errors(self._location), ExitStack() as stack:
            engine = stack.enter_context(DiskMaintenance(self._location, read_only=dry_run))
            backend = stack.enter_context(
                DiskBackend.open_read_only(self._location)
                if dry_run
                else DiskBackend(self._location, durable=True)
            )
            newest_unix_seconds = time.time() - grace_seconds
            parts = pending.abandoned(backend, newest_unix_seconds)
            pulled = abandoned_arrivals(backend, engine, newest_unix_seconds)
            if not dry_run:
                pending.forget(backend, [*parts, *pulled.contents, *pulled.marks])
            report = engine.collect(grace_seconds=grace_seconds, audit=audit, dry_run=dry_run)
        return GarbageReport(
            len(parts),
            len(pulled.contents),
            report.orphan_files,
            report.temporary_files,
            report.freed_bytes,
        )

    def repair(self) -> RepairReport:
        """Put right what can be.

        Damaged contents are marked, so that the next write of the same contents, under whatever
        name, writes them again for all names that share them. Counts of uses, free bytes and
        totals are made anew from the names. Nothing that can be read is removed; a name that leads
        nowhere is, and reported. What was lost is reported by name.
        """
        repaired: list[Problem] = []
        lost: list[Problem] = []
        with store_errors(self._location), ExitStack() as stack:
            engine = stack.enter_context(DiskMaintenance(self._location))
            backend = stack.enter_context(DiskBackend(self._location, durable=True))
            try:
                # Links first: what they should keep must not go as unused.
                described = [*check_tensors(backend), *check_snapshots(backend, engine)]
                for problem in described:
                    if problem.kind is ProblemKind.USES:
                        self._link_again(backend, problem.snapshots)
                found = [*described, *map(Problem.of, engine.repair())]
            except BackendCorruptError as error:
                found = [Problem(ProblemKind.CATALOGUE, str(error))]
            # Of the kinds that lose data a repair mends one: an index of the catalogue.
            is_sound = not any(left.kind is ProblemKind.CATALOGUE for left in engine.audit())
            for problem in found:
                is_mended = not problem.loses_data or (
                    problem.kind is ProblemKind.CATALOGUE and is_sound
                )
                (repaired if is_mended else lost).append(problem)
        return RepairReport(tuple(repaired), tuple(lost))

    def _link_again(self, backend: DiskBackend, snapshots: tuple[str, ...]) -> None:
        for name in snapshots:
            key = snapshot_key(name)
            blob, data = backend.locate(key), backend.get(key)
            if blob is not None and data is not None:
                links = storages_of(data, name)
                backend.commit([Put(key, data, blob.digest, blob.note, links)])

    def salvage(self) -> SalvageReport:
        """Make a new catalogue from what can be read of a damaged one. Nobody may use the store.

        For where `repair` and every read raise `CorruptStoreError`. What comes back is bit for bit
        what was written, checked by its digest: each name whose row in the catalogue can be read,
        and all of whose contents are there. The old catalogue is kept, under the name that the
        report tells; no contents are changed or removed. Those that have lost their names are kept
        under their digests. Where this is killed, the store is as it was, and it can be done again.

        A catalogue has no checksums of names: where letters of one are damaged it may come back
        as another name.

        Raises:
            StoreUnavailableError: Others are using it, as far as that can be told; or it cannot be
                written.
        """
        with store_errors(self._location):
            done = salvage(self._location, SalvageHints())
        return SalvageReport(
            len(_below(TENSOR_PREFIX, done.kept_keys)),
            len(_below(SNAPSHOT_PREFIX, done.kept_keys)),
            _below(TENSOR_PREFIX, done.lost_keys),
            _below(SNAPSHOT_PREFIX, done.lost_keys),
            tuple(digest.hex for digest in done.nameless),
            done.damaged_pages,
            done.kept_aside,
        )

    def quota(self) -> StoreQuota:
        """What the contents take, and what they may."""
        with (
            store_errors(self._location),
            DiskMaintenance(self._location, read_only=True) as engine,
        ):
            quota = engine.quota()
        return StoreQuota(quota.used_bytes, quota.quota_bytes)

    def set_quota(self, quota_bytes: int | None) -> None:
        """Let no write take the contents beyond `quota_bytes`, by whatever process; None: no quota.

        Kept in the store. A write beyond it raises `QuotaExceededError` and nothing is evicted.
        What is there already stays, even where it is more. Files of writes under way do not count.

        Raises:
            ValueError: It is negative.
        """
        with store_errors(self._location), DiskMaintenance(self._location) as engine:
            engine.set_quota(quota_bytes)


def _below(prefix: str, keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(key.removeprefix(prefix) for key in keys if key.startswith(prefix))


def _unix_ns(moment: datetime) -> int:
    if moment.utcoffset() is None:
        raise ValueError(
            f"{moment.isoformat()} is of no time zone; say which, or add .astimezone()"
        )
    # As far as SQLite counts: the year 2262.
    return min(int(moment.timestamp() * 1_000_000) * 1000, _MAX_INT64)
