"""The bytes of contents that a store on this machine has."""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torchstash.cache.blake3_hasher import hash_whole
from torchstash.cache.disk import Blob, DiskBackend, LinkedContents
from torchstash.content_store.engine_errors import store_errors
from torchstash.content_store.errors import CorruptStorageError
from torchstash.content_store.movement.source import OvertakenError


class LocalContents:
    """Reads contents of `store`; large ones are mapped. Thread-safe."""

    def __init__(self, store: DiskBackend) -> None:
        self._store = store

    @contextmanager
    def mapped(self, wanted: LinkedContents, wanted_by: str) -> Iterator[memoryview]:
        """The bytes, as many as there should be, not yet hashed. Valid inside the block.

        Raises:
            OvertakenError: They are gone, because nothing leads to them any more.
            CorruptStorageError: They are cut short.
        """
        with store_errors(self._store.path):
            blob = self._store.locate_contents(wanted.digest)
        if blob is None:
            raise OvertakenError(wanted.digest.hex)
        if blob.file is None:
            data = blob.small_contents() or b""
            if len(data) != wanted.size_bytes:
                raise self.damage(wanted, wanted_by, f"{len(data)} bytes are left", blob)
            yield memoryview(data)
            return
        try:
            with Path(blob.file).open("rb", 0) as file:
                mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise self.damage(wanted, wanted_by, str(error), blob) from error
        view = memoryview(mapping)
        try:
            if len(view) != wanted.size_bytes:
                raise self.damage(wanted, wanted_by, f"its file has {len(view)} bytes", blob)
            yield view
        finally:
            view.release()
            mapping.close()

    def check(self, wanted: LinkedContents, view: memoryview, wanted_by: str) -> None:
        """Hash what `mapped` gave.

        Raises:
            OvertakenError: Their place is used by other contents now.
            CorruptStorageError: They have another digest.
        """
        found = hash_whole(view)
        if found != wanted.digest.raw:
            raise self.damage(wanted, wanted_by, f"its bytes hash to {found.hex()}", None)

    def damage(
        self, wanted: LinkedContents, wanted_by: str, found: str, blob: Blob | None
    ) -> CorruptStorageError:
        """The error for contents that are not what they were; the next writer repairs them.

        Raises:
            OvertakenError: They are just not where they were.
        """
        with store_errors(self._store.path):
            now = self._store.locate_contents(wanted.digest)
        if now is None or (blob is not None and (now.file, now.extent) != (blob.file, blob.extent)):
            raise OvertakenError(wanted.digest.hex)
        self._store.mark_damaged(wanted.digest)
        return CorruptStorageError(
            f"the storage {wanted.digest.hex} of {wanted_by} in the content store at "
            f"{self._store.path} is damaged: {found}; write it again"
        )
