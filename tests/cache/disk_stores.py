"""What the tests of the disk backend do to stores behind its back."""

from pathlib import Path

from torchstash.cache import DiskBackend

# Beyond, a value has a file of its own.
PACKED_MAX_BYTES = 64 << 10


def blob_files(store: DiskBackend) -> list[Path]:
    """The files of contents."""
    return [path for path in (store.path / "blobs").rglob("*") if path.is_file()]


def blob_path(store: DiskBackend, key: str) -> Path:
    """The file that has the contents of `key`."""
    blob = store.locate(key)
    assert blob is not None
    assert blob.path is not None
    return blob.path


def overwrite(path: Path, data: bytes) -> None:
    """Change a file that nobody should change."""
    path.chmod(0o600)
    path.write_bytes(data)
