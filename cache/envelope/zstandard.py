"""The zstd codec (RFC 8878), bounded: nothing is allocated that was not announced and allowed."""

import sys
from typing import Final, cast

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# The decoder's own memory: a frame that wants a larger window than 8 MiB is refused.
_MAX_WINDOW_LOG: Final = 23
# A large value is compressed where this many slices of this size shrink to less than this share.
_PROBED_FROM_BYTES: Final = 4 << 20
_PROBES: Final = 16
_PROBE_BYTES: Final = 16 << 10
_WORTH_IT: Final = 0.98


def compress(value: bytes | memoryview, level: int) -> bytes:
    """One frame that announces its size. No copy of `value`."""
    frame: bytes = zstd.compress(value, level)
    return frame


def compress_if_smaller(value: bytes | memoryview, level: int) -> bytes | None:
    """`compress`; None: the frame would not be smaller, by slices of a large value at least."""
    if len(value) >= _PROBED_FROM_BYTES:
        # To compress takes memory for two more of what comes out.
        view = memoryview(value)
        starts = range(0, len(view), len(view) // _PROBES)
        slices = b"".join(view[start : start + _PROBE_BYTES] for start in starts)
        if len(compress(slices, level)) > _WORTH_IT * len(slices):
            return None
    frame = compress(value, level)
    return frame if len(frame) < len(value) else None


def decompress(payload: bytes | memoryview, size_bytes: int) -> bytes | None:
    """The value of exactly `size_bytes` in a single frame; None: the payload is none such."""
    try:
        if zstd.get_frame_info(payload).decompressed_size != size_bytes:
            return None
        options = {int(zstd.DecompressionParameter.window_log_max): _MAX_WINDOW_LOG}
        decoder = zstd.ZstdDecompressor(options=options)
        value: bytes = decoder.decompress(payload, max_length=size_bytes)
        if not decoder.eof and not decoder.needs_input:
            # All of the value is there; what the frame has left is its end, without any content.
            value += decoder.decompress(b"", max_length=1)
    except (zstd.ZstdError, ValueError):
        return None
    if not decoder.eof or decoder.unused_data or len(value) != size_bytes:
        return None
    return value


def decompress_at_most(payload: memoryview, max_bytes: int) -> bytes | None:
    """`decompress` for a frame that announces any size up to `max_bytes`."""
    try:
        # None where the frame does not say, which the library's stubs leave out.
        size_bytes = cast("int | None", zstd.get_frame_info(payload).decompressed_size)
    except zstd.ZstdError:
        return None
    if size_bytes is None or size_bytes > max_bytes:
        return None
    return decompress(payload, size_bytes)
