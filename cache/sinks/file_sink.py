"""Samples in a file that any number of processes append to.

Each record is its length, a varint, and a `CacheSample`: the delimited format of protobuf's
other libraries (`writeDelimitedTo` in Java, `protodelim` in Go). One record is one `write` to a
descriptor opened with O_APPEND, so that records of several writers never mix.
"""

import os
from pathlib import Path

from typing_extensions import override

from torchstash.cache.capabilities import Closable
from torchstash.cache.errors import SampleFileError
from torchstash.cache.sinks.record_length import MAX_RECORD_BYTES, encode_varint
from torchstash.cache.sinks.sample_sink import SampleSink
from torchstash.proto.cache.v1.cache_sample_pb2 import CacheSample


class FileSink(SampleSink, Closable):
    """Appends samples to the file `path`, which is made, private to the user, if need be.

    Safe for threads, processes and forks. Raises `OSError` where the file cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path).absolute()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, 0o600)

    @override
    def log(self, sample: CacheSample) -> None:
        payload = sample.SerializeToString()
        if len(payload) > MAX_RECORD_BYTES:
            raise SampleFileError(
                f"a sample of {len(payload)} bytes is longer than {MAX_RECORD_BYTES} bytes; "
                "its key or its reason must be shorter"
            )
        record = encode_varint(len(payload)) + payload
        written = os.write(self._descriptor, record)
        if written != len(record):
            raise SampleFileError(
                f"only {written} of {len(record)} bytes of a sample fit into {self._path}; "
                "free some space: readers skip the torn record"
            )

    @override
    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
