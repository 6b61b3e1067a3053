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
from torchstash.cache.fork_safe_lock import fork_safe_lock
from torchstash.cache.sinks.record_length import MAX_RECORD_BYTES, encode_varint
from torchstash.cache.sinks.rotation import rotate
from torchstash.cache.sinks.sample_sink import SampleSink
from torchstash.proto.cache.v1.cache_sample_pb2 import CacheSample


class FileSink(SampleSink, Closable):
    """Appends samples to the file `path`, which is made, private to the user, if need be.

    Safe for threads, processes and forks. Processes that rotate one file must agree on both limits.

    Args:
        path: The file of the newest samples.
        max_bytes: From this size on the file becomes `path.1`, and a new one is begun; None: never.
        max_files: How many files are kept, the newest included.

    Raises:
        OSError: The file cannot be opened.
        ValueError: A limit is not positive.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, max_bytes: int | None = None, max_files: int = 5
    ) -> None:
        if max_files < 1 or (max_bytes is not None and max_bytes < 1):
            raise ValueError(
                f"files of samples need limits of at least 1, not max_bytes={max_bytes} and "
                f"max_files={max_files}"
            )
        self._path = Path(path).absolute()
        self._max_bytes = max_bytes
        self._max_files = max_files
        # Held while the descriptor is used: a rotation must not close it under a writer.
        self._lock = fork_safe_lock()
        self._descriptor = self._open()

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        return os.open(self._path, flags, 0o600)

    @override
    def log(self, sample: CacheSample) -> None:
        payload = sample.SerializeToString()
        if len(payload) > MAX_RECORD_BYTES:
            raise SampleFileError(
                f"a sample of {len(payload)} bytes is longer than {MAX_RECORD_BYTES} bytes; "
                "its key or its reason must be shorter"
            )
        record = encode_varint(len(payload)) + payload
        if self._max_bytes is None:
            written = os.write(self._descriptor, record)
        else:
            with self._lock:
                if os.fstat(self._descriptor).st_size >= self._max_bytes:
                    self._rotate()
                written = os.write(self._descriptor, record)
        if written != len(record):
            raise SampleFileError(
                f"only {written} of {len(record)} bytes of a sample fit into {self._path}; "
                "free some space: readers skip the torn record"
            )

    def _rotate(self) -> None:
        rotate(self._path, self._descriptor, self._max_files)
        full, self._descriptor = self._descriptor, self._open()
        os.close(full)

    @override
    def close(self) -> None:
        with self._lock:
            descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
