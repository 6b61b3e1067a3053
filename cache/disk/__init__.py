"""The disk engine of the cache: a folder of values that any number of processes share."""

from torchstash.cache.disk.backend import DiskBackend
from torchstash.cache.disk.batch import Batch
from torchstash.cache.disk.blob import Blob, Extent, read_extents
from torchstash.cache.disk.finding import Finding, FindingKind
from torchstash.cache.disk.linked import LinkedContents, LinkedEntry
from torchstash.cache.disk.maintenance import DiskMaintenance
from torchstash.cache.disk.put import GivenFile, Put, Slices
from torchstash.cache.disk.reports import DiskStats, Quota, SweepReport

__all__ = [
    "Batch",
    "Blob",
    "DiskBackend",
    "DiskMaintenance",
    "DiskStats",
    "Extent",
    "Finding",
    "FindingKind",
    "GivenFile",
    "LinkedContents",
    "LinkedEntry",
    "Put",
    "Quota",
    "Slices",
    "SweepReport",
    "read_extents",
]
