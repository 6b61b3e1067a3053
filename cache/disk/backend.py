"""The disk engine: a folder that keeps values by key, shared by any number of processes.

What it promises: a reader sees a whole old value or a whole new one; equal contents are stored
once; a value is returned only if its BLAKE3 digest is right; what `put` or `commit` has reported
survives `kill -9`, and with `durable` power loss too. `committer.py` tells the order of steps.

Values up to 1 KiB lie in a SQLite catalogue, where they cost less than files ("35% Faster Than The
Filesystem", sqlite.org); up to 64 KiB in one packed file; a larger one is an immutable file named
by its digest, so that readers can map it. The folder must be on a local file system.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Self

from typing_extensions import override

from torchstash.cache.backend import RemoteCacheBackend
from torchstash.cache.capabilities import (
    Closable,
    Containing,
    Deletable,
    Leasable,
    Listable,
    ManyAtOnce,
)
from torchstash.cache.counters import cache_counters
from torchstash.cache.digest import Digest, digest_bytes
from torchstash.cache.disk.batch import Batch
from torchstash.cache.disk.blob import Blob, Extent
from torchstash.cache.disk.blob_files import BlobFiles
from torchstash.cache.disk.catalogue import Catalogue, EntryRow
from torchstash.cache.disk.collection import Collection
from torchstash.cache.disk.committer import Committer
from torchstash.cache.disk.entry_check import require_intact
from torchstash.cache.disk.error_mapping import backend_error, typed_errors
from torchstash.cache.disk.kept_check import KeptCheck
from torchstash.cache.disk.lease_file import LeaseFile
from torchstash.cache.disk.linked import LinkedContents, LinkedEntry, read_linked
from torchstash.cache.disk.medium import is_on_network
from torchstash.cache.disk.packed_file import PackedFile
from torchstash.cache.disk.put import Put
from torchstash.cache.disk.recent_reads import RecentReads
from torchstash.cache.disk.reports import DiskStats, SweepReport
from torchstash.cache.disk.verified_extents import VerifiedExtents
from torchstash.cache.errors import (
    BackendMissingError,
    BackendReadOnlyError,
    CorruptEntryError,
    DigestConflictError,
)
from torchstash.cache.keys import encode_key

# A look-up and the reading of its bytes are two steps, between which an entry can be replaced, and
# even put back as it was. Bytes that are wrong twice, behind an entry that stays, are damaged.
_READINGS_OF_DAMAGE = 2


class DiskBackend(
    RemoteCacheBackend[bytes], Containing, Deletable, Leasable, Listable, ManyAtOnce, Closable
):
    """Values by key in the folder `path`, which is made, private to the user, if need be.

    Args:
        path: The folder of the store.
        durable: Wait until what is put is on the medium. Without it a put survives the death of
            every process, and power loss can undo the latest ones.
        max_bytes: For use as a cache: the contents' cap. Beyond it the entries that were not used
            for longest are evicted. For use as a store: None, nothing is ever evicted.

    Raises (from every method):
        BackendError: The folder or its catalogue cannot be used; the subclass tells why.
        CorruptEntryError: The entry that was asked for is damaged.
        InvalidKeyError: UTF-8 cannot encode a key.
    """

    engine_name: ClassVar[str] = "disk"

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durable: bool = False,
        max_bytes: int | None = None,
    ) -> None:
        super().__init__()
        self._open(Path(path).absolute(), durable=durable, max_bytes=max_bytes, read_only=False)

    @classmethod
    def open_read_only(cls, path: str | os.PathLike[str]) -> Self:
        """A store to read from. Makes nothing; writing raises `BackendReadOnlyError`.

        Raises:
            BackendMissingError: There is no store at `path`.
        """
        backend = cls.__new__(cls)
        backend._open(Path(path).absolute(), durable=False, max_bytes=None, read_only=True)  # noqa: SLF001 - a second constructor
        return backend

    def _open(self, folder: Path, *, durable: bool, max_bytes: int | None, read_only: bool) -> None:
        self._folder = folder
        self._durable = durable
        self._max_bytes = max_bytes
        self._read_only = read_only
        on_network = self._on_network = is_on_network(folder)
        self._catalogue = Catalogue(
            folder, durable=durable, read_only=read_only, on_network=on_network
        )
        self._files = BlobFiles(folder, durable=durable)
        self._packed = PackedFile(
            folder, durable=durable, read_only=read_only, on_network=on_network
        )
        if not read_only:
            with typed_errors(folder):
                self._files.create_folders()
                self._packed.open()
        self._kept = KeptCheck(folder, self._catalogue, self._files, self._packed, durable=durable)
        self._committer = Committer(
            folder,
            self._catalogue,
            self._files,
            self._packed,
            durable=durable,
            max_bytes=max_bytes,
        )
        self._recent_reads = RecentReads()
        self._verified_extents = VerifiedExtents()

    @override
    def __reduce__(self) -> tuple[object, ...]:
        """Another process opens the same store."""
        return _reopen, (
            type(self),
            str(self._folder),
            self._durable,
            self._max_bytes,
            self._read_only,
        )

    @property
    def path(self) -> Path:
        """The folder of the store."""
        return self._folder

    @property
    def is_on_network(self) -> bool:
        """Whether other machines may be using the folder."""
        return self._on_network

    @override
    def _get(self, key: str) -> bytes | None:
        raw_key = encode_key(key)
        row = self._catalogue.lookup(raw_key)
        readings = 0
        while row is not None:
            require_intact(key, raw_key, row.digest, row.note, row.crc32)
            data, is_right = self._read_checked(row)
            if is_right:
                if self._max_bytes is not None and self._recent_reads.note(raw_key):
                    self._committer.touch(self._recent_reads.take())
                return data
            # Replaced meanwhile, as often as there are writers; or damaged, if it stays.
            now = self._catalogue.lookup(raw_key)
            readings = readings + 1 if now == row else 0
            if readings == _READINGS_OF_DAMAGE:
                raise self._damage(key, row, data)
            row = now
        return None

    def _read_checked(self, row: EntryRow) -> tuple[bytes | None, bool]:
        """The contents of a row, and whether they are what was put."""
        data = row.data
        if data is None:
            if row.packed_offset_bytes is not None:
                return self._read_packed(row, row.packed_offset_bytes)
            data = self._read_file(row)
        return data, data is not None and digest_bytes(data) == row.digest

    def _read_packed(self, row: EntryRow, offset_bytes: int) -> tuple[bytes | None, bool]:
        packed, verified = self._packed, self._verified_extents
        try:
            known_at = verified.known_at(offset_bytes, row.digest)
            if known_at is not None:
                data = packed.read_unchanged(offset_bytes, row.size_bytes, known_at)
                if data is not None:
                    return data, True
                verified.forget(known_at)
            # Bytes that are noted as right were so after the file had this stamp.
            stamp = packed.stamp()
            data = packed.read(offset_bytes, row.size_bytes)
        except OSError as error:
            typed = backend_error(self._folder, error)
            if isinstance(typed, BackendMissingError):
                return None, False
            raise typed from error
        is_right = digest_bytes(data) == row.digest
        if is_right and stamp is not None:
            verified.note(stamp, offset_bytes, row.digest)
        return data, is_right

    def _read_file(self, row: EntryRow) -> bytes | None:
        try:
            with typed_errors(self._folder), open(self._files.path(row.digest), "rb", 0) as file:  # noqa: PTH123 - no Path per stored value
                return file.readall()
        except BackendMissingError:
            return None

    def _damage(self, key: str, row: EntryRow, data: bytes | None) -> CorruptEntryError:
        if data is None:
            return CorruptEntryError(key, "its file is missing")
        self.mark_damaged(Digest(row.digest))
        if len(data) != row.size_bytes:
            return CorruptEntryError(key, f"it has {len(data)} bytes instead of {row.size_bytes}")
        found = digest_bytes(data).hex()
        return CorruptEntryError(key, f"its digest is {found} instead of {row.digest.hex()}")

    @override
    def _put(self, key: str, data: bytes) -> None:
        with self.batch() as batch:
            batch.add(Put(key, data))

    def commit(self, puts: Iterable[Put]) -> None:
        """Keep all of `puts` in one transaction, or none of them.

        `puts` is consumed one by one, and large values are written as they come. A buffer must
        stay unchanged until `commit` returns. Of puts with one key the last one stays.

        Raises:
            DigestConflictError: A put's `digest` is kept with contents of another size.
        """
        try:
            with self.batch() as batch:
                for put in puts:
                    batch.add(put)
        except Exception:
            cache_counters.exception(self._name)
            raise
        cache_counters.put(self._name, len(batch))

    def batch(self) -> Batch:
        """Like `commit`, for puts that several threads prepare. They are not counted as puts."""
        return Batch(self._committer, self._kept, self._recent_reads)

    @override
    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        found = ((key, self.get(key)) for key in dict.fromkeys(keys))
        return {key: value for key, value in found if value is not None}

    @override
    def put_many(self, values: Mapping[str, bytes]) -> None:
        """Keep every value under its key, in one transaction: all of them, or none."""
        self.commit(Put(key, data) for key, data in values.items())

    def locate(self, key: str) -> Blob | None:
        """Where the contents of `key` lie, from the catalogue alone. None: no such entry.

        The reader checks what it reads, and tells `mark_damaged` of what is wrong.

        Raises:
            CorruptEntryError: The entry itself is damaged, in the catalogue.
        """
        raw_key = encode_key(key)
        row = self._catalogue.lookup(raw_key)
        if row is None:
            return None
        require_intact(key, raw_key, row.digest, row.note, row.crc32)
        return self._blob(row)

    def locate_contents(self, digest: Digest) -> Blob | None:
        """Where contents lie, whatever names or links them. None: the store does not have them."""
        row = self._catalogue.lookup_digest(digest.raw)
        return None if row is None else self._blob(row)

    def locate_all(self, keys: Iterable[str]) -> list[Blob | None]:
        """`locate` for each of the keys, all of one instant."""
        keys = list(keys)
        raw_keys = [encode_key(key) for key in keys]
        rows = self._catalogue.lookup_all(raw_keys)
        for key, raw_key, row in zip(keys, raw_keys, rows, strict=True):
            if row is not None:
                require_intact(key, raw_key, row.digest, row.note, row.crc32)
        return [None if row is None else self._blob(row) for row in rows]

    def locate_all_contents(self, digests: Iterable[Digest]) -> list[Blob | None]:
        """`locate_contents` for each of the digests, all of one instant."""
        rows = self._catalogue.lookup_digests(digest.raw for digest in digests)
        return [None if row is None else self._blob(row) for row in rows]

    def locate_linked(self, digest: Digest) -> list[Blob]:
        """All contents that those of `digest` link, all of one instant; none where it is gone."""
        return list(map(self._blob, self._catalogue.lookup_linked(digest.raw)))

    def linked(self, keys: Iterable[str]) -> list[LinkedEntry | None]:
        """Each of the keys with all contents that it leads to, all of one instant.

        Raises:
            CorruptEntryError: One of the entries is damaged, in the catalogue.
        """
        with self._catalogue.reading() as connection:
            return [read_linked(connection, key) for key in keys]

    def lacks(self, contents: Iterable[LinkedContents]) -> set[Digest]:
        """Which of the contents a put would write: absent, known to be damaged, or cut short.

        Raises:
            DigestConflictError: Contents of another size are kept under a digest.
        """
        wanted = {each.digest: each.size_bytes for each in contents}
        lacking = set()
        rows = self._catalogue.lookup_digests(digest.raw for digest in wanted)
        for (digest, size_bytes), row in zip(wanted.items(), rows, strict=True):
            if row is None or row.is_damaged or not self._kept.is_all_there(row):
                lacking.add(digest)
            elif row.size_bytes != size_bytes:
                raise DigestConflictError(
                    f"the digest {digest.hex} was given for {size_bytes} bytes, but the store "
                    f"at {self._folder} keeps {row.size_bytes} bytes under it; hash them again"
                )
        return lacking

    def partial_path(self, digest: Digest) -> str:
        """A file below `tmp` to gather contents in, from one life of their writer to the next.

        Who writes there locks the file (flock), and gives it to the store as a `GivenFile`. A sweep
        removes it when nobody has written to it for the grace period.
        """
        return self._files.partial_path(digest.raw)

    def _blob(self, row: EntryRow) -> Blob:
        raw, size_bytes, data, _, packed_offset_bytes, _, _, note, _ = row
        extent, file = None, None
        if packed_offset_bytes is not None:
            extent = Extent(self._packed, packed_offset_bytes)
        elif data is None:
            file = self._files.path(raw)
        return Blob(Digest(raw), size_bytes, data, extent, file, note)

    def mark_damaged(self, digest: Digest) -> None:
        """These contents were found damaged: the next put of the same ones writes them again."""
        self._committer.mark_damaged(digest.raw)

    @override
    def contains(self, key: str) -> bool:
        return self._catalogue.contains(encode_key(key))

    @override
    def delete(self, key: str) -> bool:
        return self._committer.delete(encode_key(key))

    def rename(self, key: str, new_key: str, *, replace: bool = False) -> bool:
        """Let `new_key` name what `key` names, with its note, in one step. False: no such entry.

        Args:
            key: The key that goes.
            new_key: The key that comes.
            replace: An entry of `new_key` goes; else it is an error.

        Raises:
            CorruptEntryError: The entry is damaged, in the catalogue.
            EntryExistsError: There is an entry of `new_key`, and not `replace`.
        """
        return self._committer.rename(encode_key(key), encode_key(new_key), replace=replace)

    @override
    def acquire_lease(self, key: str, holder: bytes, life_seconds: float) -> bool:
        """As the interface says. A store that was opened read-only gives none.

        Raises:
            BackendReadOnlyError: It was.
        """
        if self._read_only:
            raise BackendReadOnlyError(
                f"the store at {self._folder} was opened read-only, and gives no leases; "
                "open it with DiskBackend(path)"
            )
        return LeaseFile(self._folder).acquire(encode_key(key), holder, life_seconds)

    @override
    def release_lease(self, key: str, holder: bytes) -> None:
        LeaseFile(self._folder).release(encode_key(key), holder)

    @override
    def keys(self, prefix: str = "") -> Iterator[str]:
        for key in self._catalogue.keys(encode_key(prefix)):
            yield key.decode()

    def stats(self) -> DiskStats:
        """How much the store holds, all of one instant. Looks at every entry."""
        return DiskStats(*self._catalogue.totals())

    def sweep(self, *, grace_seconds: float = 3600.0) -> SweepReport:
        """Remove what writers that died have left behind. Safe while others read and write.

        Looks at every file; `DiskMaintenance.collect` at those that writers took note of.

        Args:
            grace_seconds: Unpublished files that were written to more recently stay: their writers
                may be alive. Raise it above the time that the longest commit takes.
        """
        collection = Collection(
            self._folder, self._catalogue, self._files, self._packed, dry_run=False
        )
        return collection.run(grace_seconds=grace_seconds, audit=True)

    @override
    def close(self) -> None:
        notes = self._recent_reads.take()
        if notes and self._max_bytes is not None:
            self._committer.touch(notes)
        self._catalogue.close()
        self._packed.close()


def _reopen(
    kind: type[DiskBackend], folder: str, durable: bool, max_bytes: int | None, read_only: bool
) -> DiskBackend:
    if read_only:
        return kind.open_read_only(folder)
    return kind(folder, durable=durable, max_bytes=max_bytes)
