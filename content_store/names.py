"""Names of tensors and snapshots, and the keys under which the engine keeps what they name.

A name is a key and never a path: `../x`, `/x`, a NUL, `a` beside `a/b`, and `X`
beside `x` are names like any other. The engine orders keys by their UTF-8 bytes.

    tensors/<name>          the bytes of its storage; noted there, a serialized TensorMetadata
    snapshots/<name>        a serialized SnapshotManifest, which links the bytes of its storages
    storages/<64 hex>       the bytes of a storage without a name, by their digest

Beside these, `pending/` belongs to `content_store/distributed_checkpoint`, and `pulls/` and
`pulling/` to `content_store/movement`.
"""

from typing import Final

from torchstash.cache.digest import Digest
from torchstash.content_store.errors import InvalidNameError

MAX_NAME_BYTES: Final = 1024
TENSOR_PREFIX: Final = "tensors/"
SNAPSHOT_PREFIX: Final = "snapshots/"
STORAGE_PREFIX: Final = "storages/"


def tensor_key(name: str) -> str:
    """The key of a tensor's metadata.

    Raises:
        InvalidNameError: Not a string of 1 byte to 1 KiB of UTF-8.
    """
    return TENSOR_PREFIX + _checked(name, "tensor")


def snapshot_key(name: str) -> str:
    """The key of a saved state dict.

    Raises:
        InvalidNameError: Not a string of 1 byte to 1 KiB of UTF-8.
    """
    return SNAPSHOT_PREFIX + _checked(name, "snapshot")


def is_snapshot_name(name: str) -> bool:
    """Whether a snapshot can be called so."""
    try:
        snapshot_key(name)
    except InvalidNameError:
        return False
    return True


def storage_key(digest: Digest) -> str:
    """The key of a storage's bytes."""
    return STORAGE_PREFIX + digest.hex


def _checked(name: str, kind: str) -> str:
    if not isinstance(name, str):
        raise InvalidNameError(f"a {kind}'s name is a str, not {type(name).__qualname__}")
    try:
        size_bytes = len(name.encode())
    except UnicodeEncodeError as error:
        raise InvalidNameError(
            f"the name {name!r} has no UTF-8 form ({error.reason}); a {kind}'s name is text"
        ) from error
    if not 1 <= size_bytes <= MAX_NAME_BYTES:
        raise InvalidNameError(
            f"the name {_shortened(name)!r} takes {size_bytes} bytes of UTF-8; "
            f"a {kind}'s name takes 1 to {MAX_NAME_BYTES}"
        )
    return name


def _shortened(name: str) -> str:
    return name if len(name) <= 40 else name[:40] + "..."
