"""Where samples go, and how to read them again."""

from torchstash.cache.sinks.context_sink import default_sink, sampling_to
from torchstash.cache.sinks.file_sink import FileSink
from torchstash.cache.sinks.memory_sink import MemorySink
from torchstash.cache.sinks.sample_file import read_samples
from torchstash.cache.sinks.sample_sink import SampleSink
from torchstash.cache.sinks.sample_summary import SampleSummary, summarize_samples

__all__ = [
    "FileSink",
    "MemorySink",
    "SampleSink",
    "SampleSummary",
    "default_sink",
    "read_samples",
    "sampling_to",
    "summarize_samples",
]
