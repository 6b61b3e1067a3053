"""Content addresses of storages: BLAKE3 of their raw bytes, on any device."""

from torchstash.content_store.hashing.dispatch import (
    digest_storage,
    digest_storages,
    hash_storage,
    hash_storages,
)

__all__ = ["digest_storage", "digest_storages", "hash_storage", "hash_storages"]
