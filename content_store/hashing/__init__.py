"""Content addresses of storages: BLAKE3 of their raw bytes, on any device."""

from torchstash.content_store.hashing.dispatch import digest_storage, hash_storage

__all__ = ["digest_storage", "hash_storage"]
