"""HTTP caches: a web server that takes PUT, and the layout of Bazel's remote cache."""

from torchstash.cache.http.backend import HttpBackend
from torchstash.cache.http.bazel_backend import BazelHttpBackend

__all__ = ["BazelHttpBackend", "HttpBackend"]
