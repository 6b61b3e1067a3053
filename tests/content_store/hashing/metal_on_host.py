"""The Metal kernels, compiled for the host by its C++ compiler and run thread by thread."""

import ctypes
import subprocess
from collections.abc import Callable
from pathlib import Path

import torch

from torchstash.content_store.hashing import metal_device

_HEADERS = Path(__file__).parent


class KernelsOnHost:
    """Satisfies `metal_device.Kernels`, with tensors on the CPU."""

    def __init__(self, folder: Path) -> None:
        source = Path(metal_device.__file__).with_name("blake3.metal")
        library = folder / "blake3.so"
        options = ["-x", "c++", "-std=c++14", "-O2", "-shared", "-fPIC", "-Wno-attributes"]
        subprocess.run(
            ["c++", *options, f"-I{_HEADERS}", "-o", library, source],
            check=True,
            capture_output=True,
        )
        self._library = ctypes.CDLL(str(library))

    def chunk_values(
        self,
        octets: torch.Tensor,
        rows: torch.Tensor,
        start: int,
        size_bytes: int,
        root: int,
        /,
        *,
        threads: int,
    ) -> None:
        self._run(self._library.chunk_values, [octets, rows], [start, size_bytes, root], threads)

    def parent_values(
        self, source: torch.Tensor, target: torch.Tensor, rows: int, root: int, /, *, threads: int
    ) -> None:
        self._run(self._library.parent_values, [source, target], [rows, root], threads)

    @staticmethod
    def _run(
        function: Callable[..., None], buffers: list[torch.Tensor], values: list[int], threads: int
    ) -> None:
        pointers = [ctypes.c_void_p(buffer.data_ptr()) for buffer in buffers]
        references = [ctypes.byref(ctypes.c_long(value)) for value in values]
        for thread in range(threads):
            function(*pointers, *references, ctypes.c_uint(thread))
