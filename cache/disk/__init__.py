"""The disk engine of the cache: a folder of values that any number of processes share."""

from torchstash.cache.disk.backend import DiskBackend
from torchstash.cache.disk.blob import Blob
from torchstash.cache.disk.put import Put
from torchstash.cache.disk.reports import DiskStats, SweepReport

__all__ = ["Blob", "DiskBackend", "DiskStats", "Put", "SweepReport"]
