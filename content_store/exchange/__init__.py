"""Stores and other people's files: `.safetensors`, `.pt`, PyTorch's own content store.

Nothing in a file is run or believed: pickles are read as data, and what contradicts itself is
refused, nothing of it taken.
"""

from torchstash.content_store.exchange.exports import ExportReport, export_safetensors
from torchstash.content_store.exchange.imports import ImportReport, import_file

__all__ = ["ExportReport", "ImportReport", "export_safetensors", "import_file"]
