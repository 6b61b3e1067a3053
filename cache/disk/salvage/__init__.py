"""A new catalogue from what can still be read of a damaged one."""

from torchstash.cache.disk.salvage.hints import Hints
from torchstash.cache.disk.salvage.report import SalvageReport
from torchstash.cache.disk.salvage.salvaging import salvage

__all__ = ["Hints", "SalvageReport", "salvage"]
