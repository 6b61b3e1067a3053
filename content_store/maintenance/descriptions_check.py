"""Examines what a store says of its tensors and snapshots, beside their bytes."""

from collections.abc import Iterator
from itertools import islice

from torchstash.cache.digest import Digest
from torchstash.cache.disk import Blob, DiskBackend, DiskMaintenance
from torchstash.cache.errors import CorruptEntryError
from torchstash.content_store.errors import CorruptMetadataError, UnsupportedDtypeError
from torchstash.content_store.maintenance.problem import Problem, ProblemKind
from torchstash.content_store.metadata import decode
from torchstash.content_store.names import SNAPSHOT_PREFIX, TENSOR_PREFIX
from torchstash.content_store.parsed_snapshot import parse_snapshot

_NAMES_PER_PAGE = 512


def check_tensors(backend: DiskBackend) -> Iterator[Problem]:
    """Problems of the metadata of tensors, as they are found.

    Raises:
        BackendError: The store cannot be read.
    """
    keys = backend.keys(TENSOR_PREFIX)
    while page := list(islice(keys, _NAMES_PER_PAGE)):
        for key in page:
            try:
                blob = backend.locate(key)
            except CorruptEntryError:
                continue  # The engine's audit tells of it.
            name = key.removeprefix(TENSOR_PREFIX)
            found = None if blob is None else _metadata_problem(blob, name)
            if found is not None:
                yield Problem(ProblemKind.ENTRY, found, tensors=(name,))


def _metadata_problem(blob: Blob, name: str) -> str | None:
    if blob.note is None:
        return "it has no metadata"
    try:
        digest, description = decode(blob.note, name)
    except UnsupportedDtypeError:
        return None  # Sound, and for a newer PyTorch.
    except CorruptMetadataError as error:
        return str(error)
    if (digest, description.storage_size_bytes) != (blob.digest.raw, blob.size_bytes):
        return "its metadata are of another storage"
    return None


def check_snapshots(backend: DiskBackend, maintenance: DiskMaintenance) -> Iterator[Problem]:
    """Problems of the manifests of snapshots, as they are found.

    Raises:
        BackendError: The store cannot be read.
    """
    for key in backend.keys(SNAPSHOT_PREFIX):
        name = key.removeprefix(SNAPSHOT_PREFIX)
        try:
            data = backend.get(key)
            digests = [] if data is None else storages_of(data, name)
        except (CorruptEntryError, UnsupportedDtypeError):
            continue  # The check of contents tells of it; or it is for a newer PyTorch.
        except CorruptMetadataError as error:
            yield Problem(ProblemKind.ENTRY, str(error), snapshots=(name,))
            continue
        if data is not None:
            yield from _links_problem(backend, maintenance, data, digests, name)


def _links_problem(
    backend: DiskBackend,
    maintenance: DiskMaintenance,
    manifest: bytes,
    digests: list[Digest],
    name: str,
) -> Iterator[Problem]:
    """Whether a manifest links all that it needs. Its links never change while it is there."""
    linked = maintenance.linked(Digest.of(manifest))
    if linked is None or linked.issuperset(digests):
        return
    unlinked = [digest for digest in digests if digest not in linked]
    blobs = backend.locate_all_contents(unlinked)
    missing = [digest.hex for digest, blob in zip(unlinked, blobs, strict=True) if blob is None]
    if missing:
        found = f"the store does not have its storages {', '.join(missing)}"
        yield Problem(ProblemKind.DANGLING, found, snapshots=(name,))
    else:
        found = "storages of it are not linked, so that they could go before it does"
        yield Problem(ProblemKind.USES, found, snapshots=(name,))


def storages_of(manifest: bytes, name: str) -> list[Digest]:
    """The contents that the manifest of the snapshot `name` needs, each once.

    Raises:
        CorruptMetadataError: It is no sound manifest.
        UnsupportedDtypeError: The installed PyTorch lacks a dtype.
    """
    storages = parse_snapshot(manifest, name).storages
    return list(dict.fromkeys(digest for storage in storages for digest in storage.digests()))
