"""Makes a new catalogue from what can be read of a damaged one, in this order.

1. Lock everybody out.
2. Read the rows that make sense, page by page (`tree_walk.py`).
3. Hash all contents, in the catalogue, the packed file and the files. What is right comes back.
4. Make a catalogue below `tmp`: those contents, and the names whose contents, and all that these
   need, are among them, as far as nothing contradicts it.
5. Put it in the place of the old one, which is kept (`swap.py`).

No file of contents is changed or removed. Death before step 5 leaves all as it was.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from torchstash.cache.disk import schema
from torchstash.cache.disk.blob_files import BlobFiles
from torchstash.cache.disk.catalogue import FILE_NAME, Catalogue
from torchstash.cache.disk.error_mapping import typed_errors
from torchstash.cache.disk.medium import is_on_network
from torchstash.cache.disk.packed_file import PackedFile
from torchstash.cache.disk.salvage.exclusive import lock_out_others
from torchstash.cache.disk.salvage.found_rows import find_rows
from torchstash.cache.disk.salvage.hints import Hints
from torchstash.cache.disk.salvage.image import CatalogueImage
from torchstash.cache.disk.salvage.new_catalogue import NewCatalogue
from torchstash.cache.disk.salvage.report import SalvageReport
from torchstash.cache.disk.salvage.swap import swap
from torchstash.cache.errors import BackendCorruptError, BackendError, BackendMissingError

WORK_FOLDER_NAME = "salvage"


def salvage(path: str | os.PathLike[str], hints: Hints) -> SalvageReport:
    """Make a new catalogue for the store in the folder `path`, which nobody may be using.

    Raises:
        BackendMissingError: There is no store at `path`.
        BackendBusyError: Somebody is using it, as far as that can be told.
        BackendFormatError: It is sound, and of another version or of something else.
        BackendError: It cannot be read or written.
    """
    folder = Path(path).absolute()
    catalogue = folder / FILE_NAME
    if not catalogue.exists():
        raise BackendMissingError(f"there is no store at {folder}; check the path")
    _refuse_other_formats(folder)
    with typed_errors(folder), _locked(catalogue) as descriptor:
        image = CatalogueImage(descriptor, Path(f"{catalogue}-wal"))
        work = folder / "tmp" / WORK_FOLDER_NAME
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(mode=0o700, parents=True)
        filled, damaged_pages = _make(folder, work, image, hints)
        aside = swap(catalogue, work / FILE_NAME, image)
        shutil.rmtree(work, ignore_errors=True)
    return SalvageReport(
        tuple(sorted(filled.kept_keys)),
        filled.contents,
        tuple(sorted(filled.lost_keys)),
        tuple(filled.nameless),
        damaged_pages,
        aside,
    )


@contextmanager
def _locked(catalogue: Path) -> Iterator[int]:
    descriptor = lock_out_others(catalogue, catalogue.parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _make(
    folder: Path, work: Path, image: CatalogueImage, hints: Hints
) -> tuple[NewCatalogue, int]:
    files = BlobFiles(folder, durable=True)
    files.create_folders()
    found = find_rows(image)
    packed = PackedFile(folder, durable=True, read_only=True)
    new = Catalogue(work, durable=True, read_only=False, on_network=is_on_network(folder))
    try:
        with new.writing() as transaction:
            filled = NewCatalogue(transaction.connection, found, hints, files, packed)
            filled.fill()
    finally:
        packed.close()
        new.close()
    if (work / f"{FILE_NAME}-wal").exists():
        raise BackendError(f"SQLite left a log of the new catalogue in {work}; nothing was changed")
    return filled, found.damaged_pages


def _refuse_other_formats(folder: Path) -> None:
    """A catalogue that SQLite can read, and that is none of ours, is not damaged.

    Where a writer on a network died in the middle, opening it for writing rolls that back.
    """
    catalogue = folder / FILE_NAME
    mode = "rw" if Path(f"{catalogue}-journal").exists() else "ro"
    uri = f"{catalogue.as_uri()}?mode={mode}"
    with (
        # Python cannot decode messages of SQLite that quote damaged letters.
        suppress(sqlite3.Error, UnicodeDecodeError, BackendCorruptError),
        closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0)) as connection,
    ):
        if not schema.has_our_tables(connection):
            schema.is_new(connection, catalogue)
