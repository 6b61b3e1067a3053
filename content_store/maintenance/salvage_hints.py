"""What a content store's keys and notes tell a salvage of their contents."""

from collections.abc import Sequence
from typing import Final

from google.protobuf.message import DecodeError
from typing_extensions import override

from torchstash.cache.digest import Digest
from torchstash.cache.disk.salvage import Hints
from torchstash.content_store.errors import ContentStoreError
from torchstash.content_store.maintenance.descriptions_check import storages_of
from torchstash.content_store.names import (
    SNAPSHOT_PREFIX,
    STORAGE_PREFIX,
    TENSOR_PREFIX,
    storage_key,
)
from torchstash.content_store.pending import PENDING_PREFIX
from torchstash.proto.content_store.v1.tensor_metadata_pb2 import TensorMetadata

_NOTHING: Final = Digest(bytes(Digest.SIZE_BYTES))


class SalvageHints(Hints):
    """Metadata say of which storage they are, and manifests which storages they need."""

    @override
    def contents_of(self, key: str, note: bytes | None) -> Digest | None:
        if key.startswith(TENSOR_PREFIX):
            return _digest_in(note)
        if key.startswith(STORAGE_PREFIX):
            try:
                return Digest(bytes.fromhex(key.removeprefix(STORAGE_PREFIX)))
            except ValueError:
                return _NOTHING
        return None

    @override
    def needs_data(self, key: str) -> bool:
        return key.startswith((SNAPSHOT_PREFIX, PENDING_PREFIX))

    @override
    def links_of(self, key: str, data: bytes) -> Sequence[Digest] | None:
        try:
            return storages_of(data, key)
        except ContentStoreError:
            return None

    @override
    def key_of_nameless(self, digest: Digest) -> str | None:
        return storage_key(digest)


def _digest_in(note: bytes | None) -> Digest:
    """The storage that metadata are of; where they are none, contents that nobody has."""
    try:
        return Digest(TensorMetadata.FromString(note or b"").storage_digest)
    except (DecodeError, ValueError):
        return _NOTHING
