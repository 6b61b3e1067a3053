"""Looking after a content store: verify, collect garbage, repair, set a quota."""

from torchstash.content_store.maintenance.content_store_maintenance import ContentStoreMaintenance
from torchstash.content_store.maintenance.problem import Problem, ProblemKind
from torchstash.content_store.maintenance.reports import (
    GarbageReport,
    RepairReport,
    SalvageReport,
    StoreQuota,
)

__all__ = [
    "ContentStoreMaintenance",
    "GarbageReport",
    "Problem",
    "ProblemKind",
    "RepairReport",
    "SalvageReport",
    "StoreQuota",
]
