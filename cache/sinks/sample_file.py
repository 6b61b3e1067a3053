"""Reading the files that `FileSink` writes."""

import os
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.message import DecodeError

from torchstash.cache.sinks.record_length import MAX_RECORD_BYTES, decode_varint
from torchstash.cache.sinks.rotation import files_oldest_first
from torchstash.proto.cache.v1.cache_sample_pb2 import CacheSample

_CHUNK_BYTES = 1 << 20


def read_samples(path: str | os.PathLike[str]) -> Iterator[CacheSample]:
    """The samples of a file in the order in which they were logged, streamed.

    Files that a rotation has put aside (`path.1`, `path.2`, ...) are read before it, the oldest
    first. One that is rotated away meanwhile may be read in part, and those after it not.

    What a writer has left unfinished (it was killed, or the disk was full) is skipped, at the end
    of the file and anywhere else: reading goes on with the next whole record. A sample that other
    writers append meanwhile may be returned or not.

    Raises:
        OSError: The file cannot be read.
    """
    files = files_oldest_first(Path(path)) or [Path(path)]
    for each in files:
        yield from _read_one(each, may_be_gone=len(files) > 1)


def _read_one(path: Path, *, may_be_gone: bool) -> Iterator[CacheSample]:
    try:
        opened = path.open("rb")
    except FileNotFoundError:
        if may_be_gone:
            return  # Rotated away since the files were listed.
        raise
    with opened as file:
        buffer = b""
        position = 0
        at_end = in_step = False
        while True:
            if not at_end and len(buffer) - position <= MAX_RECORD_BYTES:
                chunk = file.read(_CHUNK_BYTES)
                at_end = not chunk
                in_step = in_step or not buffer
                buffer = buffer[position:] + chunk
                position = 0
                continue
            if position >= len(buffer):
                return
            record = _record_at(buffer, position, in_step=in_step)
            in_step = record is not None
            if record is None:
                position += 1
                continue
            sample, position = record
            yield sample


def _record_at(buffer: bytes, position: int, *, in_step: bool) -> tuple[CacheSample, int] | None:
    """The record that begins at `position`, and where it ends. None: none begins there.

    Out of step, behind an unfinished record, more is asked of one, for any byte may be its first.
    """
    length = decode_varint(buffer, position)
    if length is None:
        return None
    size_bytes, start = length
    end = start + size_bytes
    if size_bytes > MAX_RECORD_BYTES or end > len(buffer):
        return None
    try:
        sample = CacheSample.FromString(buffer[start:end])
    except DecodeError:
        return None
    # An unfinished record that swallowed a part of the next one has fields twice.
    if sample.ByteSize() != size_bytes:
        return None
    if in_step or (sample.operation and sample.HasField("start_time")):
        return sample, end
    return None
