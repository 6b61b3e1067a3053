"""Asks a layer above."""

import torchstash.prims  # noqa: F401
