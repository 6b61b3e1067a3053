"""Contents of a damaged store that are what their digest says, wherever they lie.

Nothing that the catalogue says of them is believed: what lies there is hashed.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torchstash.cache.blake3_hasher import hash_whole, hasher
from torchstash.cache.disk.blob_files import BlobFiles
from torchstash.cache.disk.packed_file import PackedFile
from torchstash.cache.disk.salvage.found_rows import FoundBlob

_SLICE_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class SoundContents:
    """Contents with the right digest; in the catalogue, in the packed file, or in a file."""

    digest: bytes
    size_bytes: int
    is_synced: bool
    packed_offset_bytes: int | None = None
    data: bytes | None = None


def sound_contents(
    blobs: list[FoundBlob], files: BlobFiles, packed: PackedFile
) -> Iterator[SoundContents]:
    """All of them, each where it was found first; a digest may come again.

    Raises:
        OSError: The folder of the files cannot be listed.
    """
    synced = {blob.digest for blob in blobs if blob.is_synced}
    for blob in blobs:
        data = blob.data
        if data is None and blob.packed_offset_bytes is not None:
            data = _packed(packed, blob.packed_offset_bytes, blob.size_bytes)
        if data is not None:
            offset = None if blob.data is not None else blob.packed_offset_bytes
            yield SoundContents(hash_whole(data), len(data), blob.is_synced, offset, blob.data)
    for digests in files.digests_by_folder():
        for digest in digests:
            size_bytes = _size_if_sound(files.path(digest), digest)
            if size_bytes is not None:
                yield SoundContents(digest, size_bytes, digest in synced)


def read_contents(contents: SoundContents, files: BlobFiles, packed: PackedFile) -> bytes:
    """All of it. Raises `OSError`."""
    if contents.data is not None:
        return contents.data
    if contents.packed_offset_bytes is not None:
        return packed.read(contents.packed_offset_bytes, contents.size_bytes)
    return Path(files.path(contents.digest)).read_bytes()


def _packed(packed: PackedFile, offset_bytes: int, size_bytes: int) -> bytes | None:
    try:
        end_bytes = packed.size_bytes()
        if offset_bytes + size_bytes > end_bytes:
            return None
        return packed.read(offset_bytes, size_bytes)
    except OSError:
        return None


def _size_if_sound(path: str, digest: bytes) -> int | None:
    """How large a file is that has the contents of that digest."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        size_bytes = os.fstat(descriptor).st_size
        state = hasher(size_bytes)
        buffer = memoryview(bytearray(min(size_bytes, _SLICE_BYTES) or 1))
        while count := os.readv(descriptor, [buffer]):
            state.update(buffer[:count])
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return size_bytes if state.digest() == digest else None
