"""Backends by URL: one string, or one environment variable, opens a whole chain."""

from torchstash.cache.opening.backend_url import BackendUrl
from torchstash.cache.opening.from_env import from_env
from torchstash.cache.opening.open_backend import open_backend
from torchstash.cache.opening.open_engine import open_engine
from torchstash.cache.opening.option_types import OptionType
from torchstash.cache.opening.schemes import SCHEMES, Scheme

__all__ = [
    "SCHEMES",
    "BackendUrl",
    "OptionType",
    "Scheme",
    "from_env",
    "open_backend",
    "open_engine",
]
