"""Whether what is recorded of a name makes it readable, before it is believed."""

from torchstash.cache.disk import LinkedEntry
from torchstash.content_store.errors import CorruptMetadataError, UnsupportedDtypeError
from torchstash.content_store.metadata import decode
from torchstash.content_store.movement.layout import described
from torchstash.content_store.names import TENSOR_PREFIX


def require_sound(key: str, entry: LinkedEntry, place: str) -> None:
    """A tensor's metadata must be of the storage that its name leads to.

    Raises:
        CorruptMetadataError: They are not; names the tensor.
    """
    if not key.startswith(TENSOR_PREFIX):
        return
    name, root = key.removeprefix(TENSOR_PREFIX), entry.contents[0]
    problem = "it has no metadata"
    if entry.note is not None:
        try:
            digest, description = decode(entry.note, name)
        except UnsupportedDtypeError:
            return  # Sound, for another PyTorch.
        if (digest, description.storage_size_bytes) == (root.digest.raw, root.size_bytes):
            return
        problem = "its metadata are of another storage"
    raise CorruptMetadataError(
        f"what {place} records of {described(key)} is damaged: {problem}; push it again"
    )
