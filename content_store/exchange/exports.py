"""Tensors of a store into a `.safetensors` file.

The format holds contiguous tensors by name, each with bytes of its own, and text. What it cannot
say is refused, never dropped silently: strides, lazy bits, quantizers, tensors that share memory,
values that are no tensors, element types that it has no name for. `contiguous=True` asks for
contiguous copies, so that strides, conj and neg bits and sharing are given up; `tensors_only=True`
leaves out what is no tensor. Whether a tensor was a parameter, asked for a gradient or lay on a
device is not said: it is not part of a tensor's value.
"""

import os
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import torch

from torchstash.content_store.errors import ExistsError, UnsupportedTensorError
from torchstash.content_store.exchange.flattening import tensors_alone
from torchstash.content_store.exchange.safetensors_header import format_name, write_header
from torchstash.content_store.memory import readable
from torchstash.content_store.reader import ContentStoreReader
from torchstash.content_store.torch_internals import identity_of


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written: the names in the file, and the size of the whole file."""

    names: tuple[str, ...]
    size_bytes: int


def export_safetensors(
    location: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    snapshot: str | None = None,
    names: Iterable[str] | None = None,
    prefixes: Iterable[str] | None = None,
    contiguous: bool = False,
    tensors_only: bool = False,
    metadata: Mapping[str, str] | None = None,
    replace: bool = False,
) -> ExportReport:
    """Writes one snapshot, or tensors under their names, to a file.

    The file appears whole, or not at all. Memory holds at most one contiguous copy.

    Args:
        location: The folder of the store.
        path: The file.
        snapshot: A state dict: keys of nested containers are joined with dots. None: tensors.
        names: Which tensors. With `prefixes` neither: all of them.
        prefixes: All tensors whose names begin so.
        contiguous: Write contiguous copies of what the format cannot say.
        tensors_only: Leave out values of the snapshot that are no tensors.
        metadata: Text for the file's header.
        replace: Take the place of a file that is there.

    Raises:
        ExistsError: There is a file, and `replace` is False.
        NotInStoreError: The store has no such snapshot or tensor.
        CorruptStoreError: What the store has is damaged.
        UnsupportedTensorError: The format cannot say a tensor; names it, and what to do.
        UnsupportedValueError: The snapshot has values that are no tensors.
        OSError: The file cannot be written.
    """
    target = Path(path)
    if target.exists() and not replace:
        raise ExistsError(f"there is a file {str(target)!r}; ask to replace it, or name another")
    with ContentStoreReader(location, cache=False) as reader:
        if snapshot is not None:
            tree = reader.load_state_dict(snapshot, device="cpu")
            what = f"the snapshot {snapshot!r}"
            tensors = tensors_alone(tree, what, tensors_only=tensors_only)
        else:
            chosen = list(names or ())
            listed = ("",) if names is None and prefixes is None else tuple(prefixes or ())
            chosen += [name for prefix in listed for name in reader.names(prefix)]
            tensors = reader.read_tensors(dict.fromkeys(chosen), device="cpu")
        # Elements of the larger types first, as the format's library does, so that all lie aligned.
        ordered = dict(sorted(tensors.items(), key=lambda pair: (-pair[1].dtype.itemsize, pair[0])))
        dtypes = {name: _dtype(name, tensor) for name, tensor in ordered.items()}
        if not contiguous:
            _require_expressible(ordered)
        header = write_header(
            {
                name: (dtypes[name], tuple(tensor.shape), tensor.numel() * tensor.dtype.itemsize)
                for name, tensor in ordered.items()
            },
            metadata or {},
        )
        return ExportReport(tuple(ordered), _write(target, header, ordered.values()))


def _dtype(name: str, tensor: torch.Tensor) -> str:
    found = format_name(tensor.dtype)
    if found is None or name == "__metadata__":
        problem = f"has the dtype {tensor.dtype}" if found is None else "has a name of the format's"
        raise UnsupportedTensorError(
            f"the tensor {name!r} {problem}, which a safetensors file cannot hold; leave it out"
        )
    return found


def _require_expressible(tensors: Mapping[str, torch.Tensor]) -> None:
    taken: dict[int, list[tuple[int, int, str]]] = {}
    for name, tensor in tensors.items():
        problem = None
        if tensor.is_conj() or tensor.is_neg():
            problem = "is a conjugate or a negative that was not computed yet"
        elif not tensor.is_contiguous():
            problem = f"has strides {tuple(tensor.stride())}"
        if problem is not None:
            raise UnsupportedTensorError(
                f"the tensor {name!r} {problem}, which a safetensors file cannot say; ask for "
                "contiguous copies"
            )
        if tensor.numel():
            begin = int(tensor.storage_offset()) * tensor.dtype.itemsize
            end = begin + tensor.numel() * tensor.dtype.itemsize
            taken.setdefault(identity_of(tensor.untyped_storage()), []).append((begin, end, name))
    for runs in taken.values():
        runs.sort()
        for (_, end, first), (begin, _, second) in pairwise(runs):
            if begin < end:
                raise UnsupportedTensorError(
                    f"the tensors {first!r} and {second!r} share memory, which a safetensors file "
                    "cannot say; ask for contiguous copies, or leave one out"
                )


def _write(target: Path, header: bytes, tensors: Iterable[torch.Tensor]) -> int:
    temporary = target.parent / f".{uuid.uuid4().hex}.part"
    try:
        with temporary.open("xb") as file:
            file.write(header)
            for tensor in tensors:
                _write_tensor(file, tensor)
            file.flush()
            os.fsync(file.fileno())
            size_bytes = file.tell()
        temporary.rename(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    return size_bytes


def _write_tensor(file: BinaryIO, tensor: torch.Tensor) -> None:
    plain = tensor.detach().resolve_conj().resolve_neg().contiguous()
    begin = plain.storage_offset() * plain.dtype.itemsize
    view = readable(plain.untyped_storage())
    file.write(view[begin : begin + plain.numel() * plain.dtype.itemsize])
