"""Removal of what dead writers have left in a store."""

import time
from pathlib import Path

from torchstash.cache.disk.blob_files import BlobFiles
from torchstash.cache.disk.catalogue import Catalogue
from torchstash.cache.disk.error_mapping import typed_errors
from torchstash.cache.disk.packed_file import PackedFile
from torchstash.cache.disk.reports import SweepReport


def sweep(
    folder: Path,
    catalogue: Catalogue,
    files: BlobFiles,
    packed: PackedFile,
    grace_seconds: float,
) -> SweepReport:
    """Remove files that no row names, and unpublished ones not written to for `grace_seconds`.

    A published file is looked up in a write transaction: writers publish in transactions too, so
    that a file without a row is an orphan there, however young. The packed file is cut off where
    the last entry in it ends.
    """
    orphan_files = temporary_files = freed_bytes = 0
    with typed_errors(folder):
        for digests in files.digests_by_folder():
            with catalogue.writing() as transaction:
                for digest in digests:
                    if transaction.blob(digest) is None:
                        freed_bytes += files.remove(digest)
                        orphan_files += 1
        with catalogue.writing() as transaction:
            freed_bytes += packed.truncate(transaction.free_space.end_bytes)
        newest = time.time() - grace_seconds
        for path in files.temporaries():
            try:
                status = path.stat()
                if status.st_mtime <= newest:
                    path.unlink()
                    temporary_files += 1
                    freed_bytes += status.st_size
            except FileNotFoundError:
                continue  # Published meanwhile, or swept by another process.
    return SweepReport(orphan_files, temporary_files, freed_bytes)
