"""Values by key, on one machine or many, every operation described by a sample.

`RemoteCache` keeps values; a `RemoteCacheBackend` keeps their data; a `RemoteCacheSerde` stands
between them. Code written against PyTorch's own module of this interface works here with only the
import changed.
"""

from torchstash.cache.backend import RemoteCacheBackend
from torchstash.cache.capabilities import (
    Closable,
    ComputeOnce,
    Containing,
    Deletable,
    Leasable,
    Listable,
    ManyAtOnce,
    PutIfAbsent,
)
from torchstash.cache.counters import CacheCount, CacheCounters, cache_counters
from torchstash.cache.digest import Digest
from torchstash.cache.disk import (
    Batch,
    Blob,
    DiskBackend,
    DiskStats,
    Extent,
    Put,
    Slices,
    SweepReport,
)
from torchstash.cache.errors import (
    BackendBusyError,
    BackendClosedError,
    BackendCorruptError,
    BackendError,
    BackendForkedError,
    BackendFormatError,
    BackendFullError,
    BackendLibraryError,
    BackendMissingError,
    BackendProtocolError,
    BackendReadOnlyError,
    BackendRefusedError,
    BackendSettingsError,
    BackendSkippedError,
    BackendTimeoutError,
    BackendUnreachableError,
    CacheError,
    CorruptEntryError,
    DecodeError,
    DigestConflictError,
    InvalidKeyError,
    MissingLinkError,
    SampleFileError,
)
from torchstash.cache.json_serde import JsonDataTy, RemoteCacheJsonSerde
from torchstash.cache.memory_backend import MemoryBackend
from torchstash.cache.opening import from_env, open_backend
from torchstash.cache.passthrough_serde import RemoteCachePassthroughSerde
from torchstash.cache.proto_serde import RemoteCacheProtoSerde
from torchstash.cache.remote_cache import RemoteCache, Sample
from torchstash.cache.serde import RemoteCacheSerde
from torchstash.cache.sinks import (
    FileSink,
    MemorySink,
    SampleSink,
    SampleSummary,
    default_sink,
    read_samples,
    sampling_to,
    summarize_samples,
)
from torchstash.proto.cache.v1.cache_sample_pb2 import CacheSample

__all__ = [
    "BackendBusyError",
    "BackendClosedError",
    "BackendCorruptError",
    "BackendError",
    "BackendForkedError",
    "BackendFormatError",
    "BackendFullError",
    "BackendLibraryError",
    "BackendMissingError",
    "BackendProtocolError",
    "BackendReadOnlyError",
    "BackendRefusedError",
    "BackendSettingsError",
    "BackendSkippedError",
    "BackendTimeoutError",
    "BackendUnreachableError",
    "Batch",
    "Blob",
    "CacheCount",
    "CacheCounters",
    "CacheError",
    "CacheSample",
    "Closable",
    "ComputeOnce",
    "Containing",
    "CorruptEntryError",
    "DecodeError",
    "Deletable",
    "Digest",
    "DigestConflictError",
    "DiskBackend",
    "DiskStats",
    "Extent",
    "FileSink",
    "InvalidKeyError",
    "JsonDataTy",
    "Leasable",
    "Listable",
    "ManyAtOnce",
    "MemoryBackend",
    "MemorySink",
    "MissingLinkError",
    "Put",
    "PutIfAbsent",
    "RemoteCache",
    "RemoteCacheBackend",
    "RemoteCacheJsonSerde",
    "RemoteCachePassthroughSerde",
    "RemoteCacheProtoSerde",
    "RemoteCacheSerde",
    "Sample",
    "SampleFileError",
    "SampleSink",
    "SampleSummary",
    "Slices",
    "SweepReport",
    "cache_counters",
    "default_sink",
    "from_env",
    "open_backend",
    "read_samples",
    "sampling_to",
    "summarize_samples",
]
