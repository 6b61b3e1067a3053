"""Samples for OpenTelemetry: `pip install torchstash[opentelemetry]`."""

from torchstash.cache.opentelemetry.sink import OpenTelemetrySink

__all__ = ["OpenTelemetrySink"]
