"""Backends around a backend: each adds one thing, and they compose in any order."""

from torchstash.cache.wrappers.background_puts import BackgroundPuts
from torchstash.cache.wrappers.breaker import BreakerLimits
from torchstash.cache.wrappers.forgiving import Forgiving
from torchstash.cache.wrappers.guarded import Guarded
from torchstash.cache.wrappers.negative_caching import NegativeCaching
from torchstash.cache.wrappers.read_only import ReadOnly
from torchstash.cache.wrappers.single_flight import SingleFlight
from torchstash.cache.wrappers.tiers import Tiers
from torchstash.cache.wrappers.wrapper import Wrapper

__all__ = [
    "BackgroundPuts",
    "BreakerLimits",
    "Forgiving",
    "Guarded",
    "NegativeCaching",
    "ReadOnly",
    "SingleFlight",
    "Tiers",
    "Wrapper",
]
