"""S3 and whatever speaks it, Google Cloud Storage, Azure Blob Storage."""

from torchstash.cache.object_store.backend import ObjectStoreBackend

__all__ = ["ObjectStoreBackend"]
