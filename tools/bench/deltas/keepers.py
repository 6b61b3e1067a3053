"""Those who keep state dicts, behind the calls that are timed.

Ours waits for the medium, and checks what it reads against a digest; nobody else does either.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from torchstash.cache.disk import DiskBackend
from torchstash.content_store import ContentStoreReader, ContentStoreWriter
from torchstash.tools.bench.deltas.versions import StateDict

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

OURS = "torchstash, base="
OURS_IN_FULL = "torchstash, in full"
TORCH = "torch.save"
PATCH = "zstd --patch-from"

_LEVEL = 1
_MAX_WINDOW_LOG = 31


@dataclass(frozen=True)
class Keeper:
    """Somebody who was given a base already."""

    save: Callable[[StateDict], object]
    # What was saved last.
    load: Callable[[], object]
    # On disk, beside the base.
    stored_bytes: Callable[[], int]
    close: Callable[[], None] = lambda: None


def ours(folder: Path, base: StateDict) -> Keeper:
    """Against the base."""
    return _store(folder, base, "base")


def ours_in_full(folder: Path, base: StateDict) -> Keeper:
    """Without it."""
    return _store(folder, base, None)


def _store(folder: Path, base: StateDict, against: str | None) -> Keeper:
    writer, reader = ContentStoreWriter(folder), ContentStoreReader(folder)
    writer.save_state_dict("base", base)

    def kept() -> int:
        with DiskBackend.open_read_only(folder) as backend:
            return backend.stats().stored_bytes

    before = kept()

    def close() -> None:
        reader.close()
        writer.close()

    return Keeper(
        lambda state: writer.save_state_dict("new", state, base=against),
        lambda: reader.load_state_dict("new"),
        lambda: kept() - before,
        close,
    )


def torch_save(folder: Path, _: StateDict) -> Keeper:
    """A zip file, without compression."""
    path = folder / "new.pt"
    return Keeper(
        lambda state: torch.save(state, path),
        lambda: torch.load(path, weights_only=True),
        lambda: path.stat().st_size,
    )


def patch(folder: Path, base: StateDict) -> Keeper:
    """As `zstd --patch-from` does it: the base is the prefix of what is compressed. One thread."""
    before, path = folder / "base.bin", folder / "new.zst"
    raw_base = _raw(base)
    before.write_bytes(raw_base)
    window_log = min(_MAX_WINDOW_LOG, (2 * len(raw_base)).bit_length())
    compressing: dict[int, Any] = {
        int(zstd.CompressionParameter.compression_level): _LEVEL,
        int(zstd.CompressionParameter.window_log): window_log,
        int(zstd.CompressionParameter.enable_long_distance_matching): 1,
    }
    decompressing = {int(zstd.DecompressionParameter.window_log_max): window_log}

    def prefix() -> Any:  # noqa: ANN401 - what the library takes for a dictionary
        return zstd.ZstdDict(before.read_bytes(), is_raw=True).as_prefix

    def save(state: StateDict) -> None:
        path.write_bytes(zstd.compress(_raw(state), options=compressing, zstd_dict=prefix()))

    def load() -> StateDict:
        raw = zstd.decompress(path.read_bytes(), zstd_dict=prefix(), options=decompressing)
        return _from_raw(raw, base)

    return Keeper(save, load, lambda: path.stat().st_size)


def _raw(state: StateDict) -> bytes:
    return b"".join(tensor.view(torch.uint8).numpy().tobytes() for tensor in state.values())


def _from_raw(raw: bytes, like: StateDict) -> StateDict:
    whole = torch.frombuffer(bytearray(raw), dtype=torch.bfloat16)
    state, start = {}, 0
    for name, tensor in like.items():
        state[name] = whole[start : start + len(tensor)]
        start += len(tensor)
    return state


KEEPERS: dict[str, Callable[[Path, StateDict], Keeper]] = {
    OURS: ours,
    OURS_IN_FULL: ours_in_full,
    TORCH: torch_save,
    PATCH: patch,
}
