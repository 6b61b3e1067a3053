"""Bazel remote caches that speak gRPC: the Remote Execution API, version 2."""

from torchstash.cache.reapi.backend import ReapiBackend

__all__ = ["ReapiBackend"]
