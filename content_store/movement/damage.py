"""What a transfer says of contents that arrived wrong."""

from torchstash.cache.disk import LinkedContents
from torchstash.content_store.errors import CorruptStorageError
from torchstash.content_store.movement.layout import described


def damaged_there(wanted: LinkedContents, key: str, place: str, found: str) -> CorruptStorageError:
    """The error for contents that did not arrive as they should."""
    return CorruptStorageError(
        f"the storage {wanted.digest.hex} of {described(key)} at {place} is damaged: {found}; "
        "push it again with verify=True from a store that has it"
    )
