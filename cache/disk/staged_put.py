"""A put whose contents are hashed, and on the disk where they go into a file."""

from dataclasses import dataclass


@dataclass(slots=True)
class StagedPut:
    """What a commit needs of one `Put`."""

    key: bytes
    digest: bytes
    size_bytes: int
    # The contents, where they go into the catalogue.
    inline_data: bytes | None = None
    # The caller's buffer, where they go into a file.
    source: memoryview | None = None
    # The file under `tmp` that has them. None: they seemed to be in the store already.
    temporary: str | None = None
