"""A new catalogue from what can still be read of a damaged one."""

from torchstash.cache.disk.salvage.hints import NO_HINTS, Hints
from torchstash.cache.disk.salvage.report import SalvageReport
from torchstash.cache.disk.salvage.salvaging import salvage

__all__ = ["NO_HINTS", "Hints", "SalvageReport", "salvage"]
